/* Tickets and sessions: the gateway's side. */
#pragma once
#include "broker/store/store.h"
#include "common/rpc/redeem.h"
#include "common/secret.h"

/* Redeems a ticket, once: of any number of callers one gets TRUE and the session's id (state connecting).
 * UNAUTHENTICATED when it is unknown, forged, used, expired, or its desktop was taken away. Audited either way. Then
 * ask usher_store_session_console() until it is in force. */
gboolean usher_store_redeem (UsherStore *store, const UsherRedeemRequest *request, const UsherActor *actor,
                             char out_session[USHER_ID_SIZE], GError **error);

/* How a redeemed session's desktop is reached. Look again on a change of a desktop. */
typedef struct {
  gboolean in_force; /* the host said that it put the console secret in force */
  char session[USHER_ID_SIZE], desktop[USHER_ID_SIZE], host[USHER_ID_SIZE];
  char *user, *door;
  UsherSecret *secret;
} UsherSessionConsole;

void usher_session_console_free (UsherSessionConsole *console);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherSessionConsole, usher_session_console_free)

/* MISSING: no such session, or it ended; UNAVAILABLE: the desktop is not ready, its host is silent or has no door. */
UsherSessionConsole *usher_store_session_console (UsherStore *store, const char *session, GError **error);

/* What a gateway tells of a session. A repeated or late event changes nothing and is TRUE; MISSING when there is no
 * such session. */
gboolean usher_store_session_event (UsherStore *store, const UsherActor *actor, const char *session,
                                    const UsherSessionEvent *event, GError **error);

/* Ends a session that could not be handed to the gateway after all; `reason` is for a person. */
gboolean usher_store_session_fail (UsherStore *store, const UsherActor *actor, const char *session, const char *reason,
                                   GError **error);
