/* Hosts: joining, and the sync of wanted and seen. */
#pragma once
#include "broker/store/store.h"
#include "common/pki.h"
#include "common/rpc/sync.h"

/* A one-time token for a host of that name, good for `ttl_s` seconds; makes the host's record when there is none.
 * The token is stored hashed; tokens made before stay good. INVALID for a name that cannot be a host's. Audited. */
gboolean usher_store_join_token (UsherStore *store, const UsherActor *actor, const char *name, guint ttl_s,
                                 char out_token[USHER_TOKEN_SIZE], GError **error);

/* Whether `token` is good for a host `name` now, without using it: its id, to sign a certificate for. UNAUTHENTICATED.
 */
gboolean usher_store_join_check (UsherStore *store, const char *token, const char *name, char out_host[USHER_ID_SIZE],
                                 GError **error);

/* Uses the token up and makes `fingerprint` the host's (one before is no longer good). UNAUTHENTICATED when another was
 * faster. Audited. */
gboolean usher_store_join_use (UsherStore *store, const UsherActor *actor, const char *token, const char *name,
                               const char *fingerprint, GError **error);

/* The host whose certificate has that fingerprint; UNAUTHENTICATED when there is none. */
gboolean usher_store_find_host (UsherStore *store, const char *fingerprint, char out_host[USHER_ID_SIZE],
                                GError **error);

/* Takes in what a host says of itself and its desktops: states move accordingly, a desktop to be gone that is
 * absent goes. REFUSED when request->deployment is not ours, MISSING when the host is not. Then ask
 * usher_store_wanted(). */
gboolean usher_store_seen (UsherStore *store, const char *host, const UsherSyncRequest *request, GError **error);

/* What the host should hold, when that is newer than `after` (0: always): TRUE and *out, or TRUE and *out untouched.
 * `request` is the host's: its desktops that have no record here come back as gone; NULL: none. Versions only grow;
 * the same set may come twice. Look again on a change of a desktop or host. */
gboolean usher_store_wanted (UsherStore *store, const char *host, const UsherSyncRequest *request, gint64 after,
                             UsherSyncAnswer **out, GError **error);
