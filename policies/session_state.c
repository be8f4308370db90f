#include "policies/session_state.h"

#include "policies/state_table.h"

#define BIT(state) (1u << USHER_SESSION_##state)

static const UsherStateRow table[USHER_SESSION_STATES] = {
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
  int found = usher_state_table_find (table, USHER_SESSION_STATES, name);
  if (found >= 0)
    *out = found;
  return found >= 0;
}

gboolean
usher_session_state_may_move (UsherSessionState from, UsherSessionState to)
{
  return usher_state_table_may_move (table, from, to);
}
