/* One SPICE channel of a client, from its first byte to its last:
 *
 *     LINK → KEY → TICKET → REDEEM (main) or join (others) → REACH → RESULT → INIT (main) → RELAY → over
 *       └──────── a wrong step: answer the client what SPICE has for it ────────► REFUSE ──► over
 */
#pragma once
#include "gateway/spice/session.h"

/* Called once, from the loop, when the channel is over; it frees itself. */
typedef void (*UsherSpiceChannelDone) (gpointer user_data);

/* Takes over `client`, positioned at the link's first byte. `carrier` is "tls" or "websocket" (static). */
UsherSpiceChannel *usher_spice_channel_new (const UsherSpiceContext *context, UsherStream *client,
                                            const char *client_address, const char *carrier, UsherSpiceChannelDone done,
                                            gpointer user_data);

/* Ends it now; `done` is called. */
void usher_spice_channel_end (UsherSpiceChannel *channel, const char *reason);

/* Whether it holds a session's main channel, or is about to: what a drain waits for. */
gboolean usher_spice_channel_is_linked (const UsherSpiceChannel *channel);

/* --- called by the session ------------------------------------------------------------------------ */

void usher_spice_channel_redeemed (UsherSpiceChannel *channel);
void usher_spice_channel_refused (UsherSpiceChannel *channel, UsherSpiceResult result, const char *why);

/* The session ended under it. */
void usher_spice_channel_session_ended (UsherSpiceChannel *channel, const char *reason);
