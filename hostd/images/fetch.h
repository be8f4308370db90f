/* Fetching one template version from the broker: GET /host/v1/images/NAME/VERSION/FILE (docs/protocols.md). Goes on where an
 * earlier try was cut, as far as what is there proves right in the end; checks each file's SHA-256; and puts the version in
 * its place whole. May be killed at any instant. Runs on a worker thread; progress and cancelling on any. */
#pragma once
#include <gio/gio.h>
#include "hostd/images/bucket.h"
#include "hostd/images/wanted.h"
#include "hostd/storage/template_store.h"
#include "hostd/sync/link.h"

/* What fetches have in common; outlives them. */
typedef struct {
  UsherLinkConfig link;       /* borrowed */
  UsherTemplateStore *store;
  gint64 reserve_bytes;       /* kept free under the store */
  GMutex lock;                /* guards the rest */
  UsherBucket bucket;
  GHashTable *under_way;      /* "NAME/VERSION" of versions that a fetch is writing */
} UsherFetchGround;

void usher_fetch_ground_init (UsherFetchGround *ground, const UsherLinkConfig *link, UsherTemplateStore *store, gint64 rate,
                              gint64 reserve_bytes);
void usher_fetch_ground_clear (UsherFetchGround *ground);

/* Whether a fetch is writing that version. */
gboolean usher_fetch_is_under_way (UsherFetchGround *ground, const char *key);

typedef struct _UsherFetch UsherFetch;

/* Copies `version`. */
UsherFetch *usher_fetch_new (UsherFetchGround *ground, const UsherWantedVersion *version);
UsherFetch *usher_fetch_ref (UsherFetch *fetch);
void usher_fetch_unref (UsherFetch *fetch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherFetch, usher_fetch_unref)

/* What is fetched; borrowed. */
const UsherWantedVersion *usher_fetch_get_version (const UsherFetch *fetch);

/* Bytes there so far, of all its files. Any thread. */
gint64 usher_fetch_received (UsherFetch *fetch);
gint64 usher_fetch_size (const UsherFetch *fetch);

/* Ends usher_fetch_run() soon; what has come stays. Any thread. */
void usher_fetch_cancel (UsherFetch *fetch);

/* Makes room for `bytes` more under the store if it can, e.g. by removing what nothing uses. */
typedef void (*UsherFetchMakeRoom) (gint64 bytes, gpointer user_data);

/* TRUE when the version is usable here, also when it was so already. `link` is the thread's own. Errors: UNAVAILABLE
 * (cut, not reached, cancelled: go on later), MISSING (the broker does not have it), EXHAUSTED («disk full: …»), INVALID (what
 * came is wrong and was thrown away, or the broker's answer is no good), CONFLICT (something is in its place). */
gboolean usher_fetch_run (UsherFetch *fetch, UsherLink *link, UsherFetchMakeRoom make_room, gpointer user_data, GError **error);
