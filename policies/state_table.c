#include "policies/state_table.h"

int
usher_state_table_find (const UsherStateRow *table, int n, const char *name)
{
  for (int state = 0; state < n; state++)
    if (g_strcmp0 (name, table[state].name) == 0)
      return state;
  return -1;
}

gboolean
usher_state_table_may_move (const UsherStateRow *table, int from, int to)
{
  return (table[from].to & (1u << to)) != 0;
}
