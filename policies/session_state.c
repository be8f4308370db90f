#include "policies/session_state.h"

#define BIT(state) (1u << USHER_SESSION_##state)

static const struct {
  const char *name;
  guint to; /* set of the states it may move to */
} table[USHER_SESSION_STATES] = {
  [USHER_SESSION_OFFERED] = { "offered", BIT (CONNECTING) | BIT (ENDED) },
  [USHER_SESSION_CONNECTING] = { "connecting", BIT (ACTIVE) | BIT (DISCONNECTED) | BIT (ENDED) },
  [USHER_SESSION_ACTIVE] = { "active", BIT (DISCONNECTED) | BIT (ENDED) },
  [USHER_SESSION_DISCONNECTED] = { "disconnected", BIT (ACTIVE) | BIT (ENDED) },
  [USHER_SESSION_ENDED] = { "ended", 0 },
};

const char *
usher_session_state_name (UsherSessionState state)
{
  return table[state].name;
}

gboolean
usher_session_state_parse (const char *name, UsherSessionState *out)
{
  for (int state = 0; state < USHER_SESSION_STATES; state++)
    if (g_strcmp0 (name, table[state].name) == 0)
      {
        *out = state;
        return TRUE;
      }
  return FALSE;
}

gboolean
usher_session_state_may_move (UsherSessionState from, UsherSessionState to)
{
  return (table[from].to & (1u << to)) != 0;
}
