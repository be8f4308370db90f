/* The sync with the broker (see common/rpc/sync.h): a POST that waits there for something new, always one
 * pending, and another at once when what is seen here changes. While the broker is away it is asked again with
 * growing pauses, and nothing else happens: desktops go on. Lives in the main context. */
#pragma once
#include <glib.h>
#include "common/rpc/sync.h"
#include "hostd/sync/link.h"

typedef struct _UsherSyncClient UsherSyncClient;

/* Borrowed for usher_sync_client_new(). */
typedef struct {
  UsherLinkConfig link;
  const char *deployment, *host; /* answers of another are not obeyed */
} UsherSyncConfig;

/* Fills in a request but deployment, after and wait_s. FALSE: not known yet; usher_sync_client_changed() follows. */
typedef gboolean (*UsherSyncFill) (UsherSyncRequest *request, gpointer user_data);
typedef void (*UsherSyncApply) (const UsherSyncAnswer *answer, gpointer user_data);

/* INVALID when a file or the URL is no good. */
UsherSyncClient *usher_sync_client_new (const UsherSyncConfig *config, UsherSyncFill fill, UsherSyncApply apply, gpointer user_data,
                                        GError **error);

/* What is seen changed: a sync follows within some milliseconds. */
void usher_sync_client_changed (UsherSyncClient *client);

void usher_sync_client_free (UsherSyncClient *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherSyncClient, usher_sync_client_free)

/* The pause before try number `failures` + 1, jittered by `random` (0..1): half to all of 0.5 s doubled each time,
 * 15 s at most. Pure. */
guint usher_sync_backoff_ms (guint failures, double random);
