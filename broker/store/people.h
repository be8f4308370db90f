/* What a signed-in person sees and does: pools, desktops, connect, restart. `person` is UsherSignedIn.person. */
#pragma once
#include "broker/store/store.h"

/* {"items":[POOL…],"reasons":[{"rule","message"}…]}, POOL as in docs/protocols.md; entitled pools only. */
json_t *usher_store_pools_of (UsherStore *store, const char *person, GError **error);

/* {"resource_version","items":[DESKTOP…]}: the person's own. With `after` > 0 and no change after it: TRUE and *out
 * untouched. `after` 0: always all. */
gboolean usher_store_desktops_of (UsherStore *store, const char *person, gint64 after, json_t **out, GError **error);

/* What a connect came to; every member is set. */
typedef struct {
  gboolean ready;                /* FALSE: ask again after retry_after_ms; no session was made */
  json_t *desktop;               /* DESKTOP */
  guint eta_s, retry_after_ms;   /* while not ready */
  char session[USHER_ID_SIZE];   /* from here on: only when ready */
  char ticket[USHER_TOKEN_SIZE]; /* good for expires_in_s, once; stored hashed */
  guint expires_in_s;
} UsherConnect;

void usher_connect_free (UsherConnect *connect);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherConnect, usher_connect_free)

/* In one transaction: checks the entitlement; takes the person's desktop of the pool, or a ready spare, or one that
 * is being made, or plans one within the pool's maximum; when it is ready makes a session (offered), a ticket and a
 * fresh console secret (revision + 1); audits. `client` is "browser" or "spice". MISSING: no such pool; REFUSED: not
 * entitled; EXHAUSTED: no desktop can be had now, *out_reasons ([{"rule","message"}…], may be NULL) says why. Those are
 * audited too. */
UsherConnect *usher_store_connect (UsherStore *store, const UsherActor *actor, const char *person, const char *pool,
                                   const char *client, json_t **out_reasons, GError **error);

/* A number that changes with every change of the person's desktop of the pool; 0: none. Cheap: whoever waits for a connect to
 * become ready asks again only when it is another. */
gboolean usher_store_connect_version (UsherStore *store, const char *person, const char *pool, gint64 *out_version,
                                      GError **error);

/* Asks for a restart of the person's own desktop (restart_revision + 1); returns DESKTOP. MISSING when it is not
 * theirs; CONFLICT when it is not running or being made. Audited. */
json_t *usher_store_restart (UsherStore *store, const UsherActor *actor, const char *person, const char *desktop,
                             GError **error);
