/* Inside of broker/store/: parents of instant clones and template versions on their way, in the sync. */
#pragma once
#include "broker/store/sql.h"
#include "common/rpc/sync.h"

/* The report's parents and fetches as JSON texts; owned by the caller. */
char *usher_sync_parents_text (const UsherSyncRequest *request);
char *usher_sync_fetches_text (const UsherSyncRequest *request);

/* Adds to `into` (of UsherParentKey) the parents that a host is to keep: of pools that somebody may get a desktop of there, and of
 * desktops that are being made there, perhaps from an older version, as far as policies/parents.h lets its memory go. */
gboolean usher_sync_add_parents (UsherStore *store, const char *host, GPtrArray *into, GError **error);
