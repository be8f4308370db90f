/* Gets the template versions that the broker wants onto this host, and removes fetched ones that nothing uses. Lives in the
 * main context; the work is done on threads of its own.
 *
 *     broker's answer ──► wanted ─┐
 *     sample ──► usable here ─────┴─► what is in no root ─► fetch (two at a time) ─► usable: arrived
 *                                                            └─ fails: again, with growing pauses; the reason is reported */
#pragma once
#include "common/rpc/sync.h"
#include "hostd/storage/template_store.h"
#include "hostd/sync/link.h"

typedef struct _UsherImages UsherImages;

typedef struct {
  UsherLinkConfig link;       /* borrowed, as the next */
  const char *state_dir;
  UsherTemplateStore *store;  /* outlives it */
  gint64 rate_mib_s;          /* 0: no limit */
  gint64 keep_s, reserve_mib;
} UsherImagesConfig;

typedef enum {
  USHER_IMAGES_MOVED,   /* what usher_images_report() says differs; at most once a second while bytes come */
  USHER_IMAGES_ARRIVED, /* a version became usable */
} UsherImagesNews;

typedef void (*UsherImagesChanged) (UsherImagesNews news, gpointer user_data);

UsherImages *usher_images_new (const UsherImagesConfig *config, UsherImagesChanged changed, gpointer user_data);

/* What the broker wants: `answer`'s versions, those first that its desktops and parents need. */
void usher_images_want (UsherImages *images, const UsherSyncAnswer *answer);

/* What is usable here, "NAME/VERSION" each: to be told at every sample. Nothing is fetched before the first. */
void usher_images_seen (UsherImages *images, const char *const *templates);

/* Appends a UsherSeenFetch for each version that is wanted and not here. */
void usher_images_report (const UsherImages *images, GPtrArray *into);

/* Why a desktop has to wait for its version, for people: «template tiny/2 is on its way, 40 %»; *out_failed says that
 * it does not come for now. NULL: it need not wait (the version is usable, or nobody fetches it). Owned by the caller. */
char *usher_images_dup_waiting (const UsherImages *images, const char *name, gint64 version, gboolean *out_failed);

/* Ends what is under way; may take some moments. */
void usher_images_free (UsherImages *images);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherImages, usher_images_free)

/* The pause after `failures` failures in a row: 1 s, doubled each time, 60 s at most. Pure. */
gint64 usher_images_backoff_ms (guint failures);
