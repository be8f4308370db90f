#include "policies/leaving.h"

static const struct {
  const char *name;
  UsherLeavingAct act; /* once the person has left for good */
} table[] = {
  [USHER_ASSIGNMENT_DEDICATED] = { "dedicated", USHER_LEAVING_KEEP },
  [USHER_ASSIGNMENT_FLOATING] = { "floating", USHER_LEAVING_WIPE },
  [USHER_ASSIGNMENT_FRESH_SYSTEM] = { "fresh-system", USHER_LEAVING_REFRESH },
};

const char *
usher_assignment_name (UsherAssignment assignment)
{
  return table[assignment].name;
}

gboolean
usher_assignment_parse (const char *name, UsherAssignment *out)
{
  for (gsize i = 0; i < G_N_ELEMENTS (table); i++)
    if (g_strcmp0 (name, table[i].name) == 0)
      {
        *out = (UsherAssignment) i;
        return TRUE;
      }
  return FALSE;
}

UsherLeavingPlan
usher_leaving_plan (const UsherLeaving *leaving)
{
  const UsherLeavingPlan keep = { USHER_LEAVING_KEEP, 0, NULL };
  UsherLeavingAct act = table[leaving->assignment].act;
  if (act == USHER_LEAVING_KEEP || (act == USHER_LEAVING_REFRESH && !leaving->used))
    return keep;
  if (leaving->signed_out)
    return (UsherLeavingPlan){ act, 0, "signed out" };
  if (leaving->in_use)
    return keep;
  if (leaving->idle_s < leaving->linger_s)
    return (UsherLeavingPlan){ USHER_LEAVING_KEEP, leaving->linger_s - leaving->idle_s, NULL };
  return (UsherLeavingPlan){ act, 0, "is not signed in any more" };
}
