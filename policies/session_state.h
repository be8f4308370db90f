/* The states of a session and the moves between them: offered → connecting → active → disconnected → ended. */
#pragma once
#include <glib.h>

typedef enum {
  USHER_SESSION_OFFERED,      /* a ticket is out */
  USHER_SESSION_CONNECTING,   /* the ticket was redeemed */
  USHER_SESSION_ACTIVE,       /* a gateway relays it */
  USHER_SESSION_DISCONNECTED, /* its line is gone */
  USHER_SESSION_ENDED,
} UsherSessionState;
#define USHER_SESSION_STATES (USHER_SESSION_ENDED + 1)

/* "offered" … "ended"; static. */
const char *usher_session_state_name (UsherSessionState state);
/* FALSE when `name` is none of them (or NULL). */
gboolean usher_session_state_parse (const char *name, UsherSessionState *out);

/* Whether the table has a move from one to the other. Staying is no move: FALSE. */
gboolean usher_session_state_may_move (UsherSessionState from, UsherSessionState to);
