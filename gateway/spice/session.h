/* The sessions a gateway holds, by ticket. A ticket is good here for one session: its main link is redeemed
 * with the broker once, the other channels join with the same ticket and the session id that the
 * desktop gave (SPICE_MSG_MAIN_INIT), and all end with the main channel. */
#pragma once
#include "common/relay/buffer.h"
#include "common/relay/loop.h"
#include "common/relay/tls.h"
#include "gateway/edge/broker.h"
#include "gateway/spice/key_pool.h"
#include "gateway/spice/link.h"

typedef struct _UsherSpiceSession UsherSpiceSession;
typedef struct _UsherSpiceSessions UsherSpiceSessions;
typedef struct _UsherSpiceChannel UsherSpiceChannel;

/* What every channel needs; outlives them all. */
typedef struct {
  UsherLoop *loop;
  UsherPool *pool;
  UsherKeyPool *keys;
  UsherBroker *broker;
  UsherTls *door_tls; /* NULL: only unix doors can be reached */
  UsherSpiceSessions *sessions;
  const char *gateway; /* this gateway's name */
  guint link_ms;       /* a client's link stage, from its first byte to its ticket */
  guint redeem_ms;     /* the broker's answer */
  guint reach_ms;      /* door, desktop and the link with it */
} UsherSpiceContext;

UsherSpiceSessions *usher_spice_sessions_new (const UsherSpiceContext *context);
guint usher_spice_sessions_count (const UsherSpiceSessions *sessions);

/* Ends every session; the broker is told `reason`. */
void usher_spice_sessions_end_all (UsherSpiceSessions *sessions, const char *reason);

/* No redeem may be under way: close the broker first. */
void usher_spice_sessions_free (UsherSpiceSessions *sessions);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherSpiceSessions, usher_spice_sessions_free)

/* --- for channels ------------------------------------------------------------------------------ */

/* A main link with a ticket of good form. The session's redeem starts, its end comes through
 * usher_spice_channel_redeemed() or _refused(). NULL: the ticket is in use here already. */
UsherSpiceSession *usher_spice_session_begin (UsherSpiceSessions *sessions, const UsherSecret *ticket,
                                              const char *client_address, const char *carrier, UsherSpiceChannel *main);

/* Another channel's link. NULL with *out_result: PERMISSION_DENIED when no session here has this ticket,
 * BAD_CONNECTION_ID when it has another id, or none yet. */
UsherSpiceSession *usher_spice_session_join (UsherSpiceSessions *sessions, const UsherSecret *ticket,
                                             guint32 connection_id, UsherSpiceChannel *channel,
                                             UsherSpiceResult *out_result);

/* Of a redeemed session; borrowed. */
const UsherRedeemed *usher_spice_session_redeemed (const UsherSpiceSession *session);

/* The main channel is linked and this is the id the desktop gave: the broker hears "active". */
void usher_spice_session_activate (UsherSpiceSession *session, guint32 spice_id);

/* Bytes of a channel, when it ends or now and then. */
void usher_spice_session_add_bytes (UsherSpiceSession *session, guint64 to_client, guint64 to_desktop);

/* A channel is gone. With the main channel the session ends, for `reason`. */
void usher_spice_session_leave (UsherSpiceSession *session, UsherSpiceChannel *channel, const char *reason);
