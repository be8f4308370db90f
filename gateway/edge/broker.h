/* The gateway's word with the broker: tickets redeemed, session events told. HTTP over the broker's
 * gateway socket, by libsoup on a thread with a main context of its own; answers come back on the loop. */
#pragma once
#include "common/relay/loop.h"
#include "common/relay/socket.h"
#include "common/rpc/redeem.h"

typedef struct _UsherBroker UsherBroker;

/* `socket` is a path. Events wait in a bounded queue while the broker is away. */
UsherBroker *usher_broker_new (UsherLoop *loop, const char *socket, GError **error);

/* A redeemed ticket: the broker's answer and the door's address, names resolved. */
typedef struct {
  UsherRedeemAnswer *answer;
  UsherAddress door;
} UsherRedeemed;

void usher_redeemed_free (UsherRedeemed *redeemed);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherRedeemed, usher_redeemed_free)

/* On the loop, exactly once. Owns `redeemed` (NULL on failure); `error` is UNAUTHENTICATED (the ticket is not
 * good), UNAVAILABLE (could not find out, or not in `timeout_ms`), or what else the broker said. */
typedef void (*UsherRedeemDone) (UsherRedeemed *redeemed, const GError *error, gpointer user_data);

/* From the loop's thread. Takes over `request`. */
void usher_broker_redeem (UsherBroker *broker, UsherRedeemRequest *request, guint timeout_ms, UsherRedeemDone done,
                          gpointer user_data);

/* From the loop's thread. Takes over `event`; sent in order, again and again until the broker took or
 * refused it. When too many wait, the oldest is dropped and logged. */
void usher_broker_tell (UsherBroker *broker, const char *session, UsherSessionEvent *event);

/* Waits up to `ms` until all events are told. Stops the thread; redeems under way get no answer, so
 * whoever waits for one must be gone. */
void usher_broker_close (UsherBroker *broker, guint ms);
void usher_broker_free (UsherBroker *broker);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherBroker, usher_broker_free)
