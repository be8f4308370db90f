#include "policies/desktop_state.h"

#include "policies/state_table.h"

#define BIT(state) (1u << USHER_DESKTOP_##state)

static const UsherStateRow table[USHER_DESKTOP_STATES] = {
  [USHER_DESKTOP_PLANNED] = { "planned", BIT (PROVISIONING) | BIT (DRAINING) | BIT (GONE) },
  [USHER_DESKTOP_PROVISIONING] = { "provisioning", BIT (SPARE) | BIT (ASSIGNED) | BIT (FAILED) | BIT (DRAINING) },
  [USHER_DESKTOP_SPARE]
  = { "spare", BIT (PROVISIONING) | BIT (ASSIGNED) | BIT (STOPPED) | BIT (SUSPENDED) | BIT (FAILED) | BIT (DRAINING) },
  [USHER_DESKTOP_ASSIGNED] = { "assigned", BIT (STOPPED) | BIT (SUSPENDED) | BIT (FAILED) | BIT (DRAINING) },
  [USHER_DESKTOP_STOPPED] = { "stopped", BIT (SPARE) | BIT (ASSIGNED) | BIT (FAILED) | BIT (DRAINING) },
  [USHER_DESKTOP_SUSPENDED]
  = { "suspended", BIT (SPARE) | BIT (ASSIGNED) | BIT (STOPPED) | BIT (FAILED) | BIT (DRAINING) },
  [USHER_DESKTOP_FAILED] = { "failed", BIT (SPARE) | BIT (ASSIGNED) | BIT (DRAINING) },
  [USHER_DESKTOP_DRAINING] = { "draining", BIT (GONE) },
  [USHER_DESKTOP_GONE] = { "gone", 0 },
};

const char *
usher_desktop_state_name (UsherDesktopState state)
{
  return table[state].name;
}

gboolean
usher_desktop_state_parse (const char *name, UsherDesktopState *out)
{
  int found = usher_state_table_find (table, USHER_DESKTOP_STATES, name);
  if (found >= 0)
    *out = found;
  return found >= 0;
}

gboolean
usher_desktop_state_may_move (UsherDesktopState from, UsherDesktopState to)
{
  return usher_state_table_may_move (table, from, to);
}

gboolean
usher_desktop_state_is_live (UsherDesktopState state)
{
  return state != USHER_DESKTOP_DRAINING && state != USHER_DESKTOP_GONE;
}

/* What a host's word moves: `state` when it says one of `seen`. READY_TO stands for spare or assigned. */
#define READY_TO USHER_DESKTOP_STATES
#define SAYS(state) (1u << USHER_SEEN_##state)
static const struct {
  UsherDesktopState state;
  guint seen;
  guint to;
} words[] = {
  { USHER_DESKTOP_PROVISIONING, SAYS (READY), READY_TO },
  { USHER_DESKTOP_PROVISIONING, SAYS (FAILED), USHER_DESKTOP_FAILED },
  { USHER_DESKTOP_SPARE, SAYS (ABSENT) | SAYS (CREATING), USHER_DESKTOP_PROVISIONING },
  { USHER_DESKTOP_SPARE, SAYS (STOPPED), USHER_DESKTOP_STOPPED },
  { USHER_DESKTOP_SPARE, SAYS (FAILED), USHER_DESKTOP_FAILED },
  { USHER_DESKTOP_ASSIGNED, SAYS (STOPPED), USHER_DESKTOP_STOPPED },
  { USHER_DESKTOP_ASSIGNED, SAYS (FAILED), USHER_DESKTOP_FAILED },
  { USHER_DESKTOP_STOPPED, SAYS (READY), READY_TO },
  { USHER_DESKTOP_STOPPED, SAYS (FAILED), USHER_DESKTOP_FAILED },
  { USHER_DESKTOP_SUSPENDED, SAYS (READY), READY_TO },
  { USHER_DESKTOP_SUSPENDED, SAYS (STOPPED), USHER_DESKTOP_STOPPED },
  { USHER_DESKTOP_SUSPENDED, SAYS (FAILED), USHER_DESKTOP_FAILED },
  { USHER_DESKTOP_FAILED, SAYS (READY), READY_TO },
  { USHER_DESKTOP_DRAINING, SAYS (ABSENT), USHER_DESKTOP_GONE },
};

UsherDesktopState
usher_desktop_state_after (UsherDesktopState state, gboolean owned, UsherSeenState seen)
{
  for (gsize i = 0; i < G_N_ELEMENTS (words); i++)
    if (words[i].state == state && (words[i].seen & (1u << seen)) != 0)
      return words[i].to != READY_TO ? (UsherDesktopState) words[i].to
             : owned                 ? USHER_DESKTOP_ASSIGNED
                                     : USHER_DESKTOP_SPARE;
  return state;
}
