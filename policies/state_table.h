/* Inside of policies/: what the tables of states have in common. */
#pragma once
#include <glib.h>

/* The row of one state; a table has them in the order of its enumeration. */
typedef struct {
  const char *name;
  guint to; /* set of the states it may move to: bit n for state n */
} UsherStateRow;

/* The state of that name among the `n` of `table`; -1 when it is none of them (or NULL). */
int usher_state_table_find (const UsherStateRow *table, int n, const char *name);

/* Whether `table` has a move from one to the other. Staying is no move. */
gboolean usher_state_table_may_move (const UsherStateRow *table, int from, int to);
