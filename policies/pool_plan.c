#include "policies/pool_plan.h"

#define BACK_OFF_FIRST_S 5
#define BACK_OFF_LONGEST_S 300
#define REPLACED_SHARE 4

gint64
usher_pool_back_off (gint64 failures, gint64 failed_ago_s)
{
  gint64 wait = BACK_OFF_FIRST_S;
  for (gint64 i = 1; i < failures && wait < BACK_OFF_LONGEST_S; i++)
    wait *= 2;
  return failures > 0 ? MAX (MIN (wait, BACK_OFF_LONGEST_S) - failed_ago_s, 0) : 0;
}

#define D G_GINT64_FORMAT

/* ": why", or nothing. */
static char *
because (const UsherPoolCounts *counts)
{
  gboolean known = counts->failure != NULL && counts->failure[0] != '\0';
  return known ? g_strdup_printf (" (%s)", counts->failure) : g_strdup ("");
}

/* After a failure: failed desktops stay to be looked at (their host may bring them up yet) until another may be tried.
 */
static void
hold_back (const UsherPoolCounts *counts, gint64 left_s, UsherPoolPlan *plan)
{
  g_autofree char *why = because (counts);
  plan->again_s = left_s;
  plan->reason = usher_reason_new ("back-off",
                                   "%" D " desktop(s) one after the other could not be made%s: the next is tried %" D
                                   " s after the last",
                                   counts->failures, why, left_s + counts->failed_ago_s);
}

/* Makes `lacking` desktops; one at a time while making them goes wrong. */
static void
make (const UsherPoolCounts *counts, gint64 lacking, UsherPoolPlan *plan)
{
  g_autofree char *why = because (counts);
  if (counts->failures == 0)
    plan->create = lacking;
  else if (counts->making == 0)
    plan->create = MIN (lacking, 1);
  else
    plan->reason = usher_reason_new (
        "back-off", "%" D " desktop(s) one after the other could not be made%s: one is tried at a time",
        counts->failures, why);
}

/* How many of the stale ones go now: what is being made at once; what is ready as others take its place, or one to make room
 * for the first of those. */
static gint64
retire_stale (const UsherPoolCounts *counts, gint64 wanted, gboolean may_make)
{
  gint64 held = counts->ready + counts->making;
  gint64 go = MAX (counts->stale_ready - MAX (wanted - counts->ready, 0), 0);
  if (may_make && go < counts->stale_ready && held < wanted && counts->making == 0
      && counts->owned + held + counts->stale_ready - go >= counts->maximum)
    go++;
  return counts->stale_making + go;
}

/* How many may be made beside the stale ones that stay. */
static gint64
room_beside (const UsherPoolCounts *counts, gint64 stale_left)
{
  gint64 room = counts->maximum - counts->owned - counts->ready - counts->making - stale_left;
  if (stale_left > 0)
    room = MIN (room, MAX (counts->spares / REPLACED_SHARE, 1) - counts->making);
  return MAX (room, 0);
}

/* What is said of a pool that does not have all its spares. */
static UsherReason *
explain (const UsherPoolCounts *counts, gint64 wanted)
{
  if (counts->stale_ready > 0 && wanted > counts->ready)
    return usher_reason_new ("outdated",
                             "%" D " of %" D " spare(s) are ready; %" D
                             " of an older template version, size or kind are replaced",
                             counts->ready, wanted, counts->stale_ready);
  if (wanted < counts->spares)
    return usher_reason_new (
        "maximum", "%" D " of at most %" D " desktops belong to somebody: there is room for %" D " spare(s) of %" D,
        counts->owned, counts->maximum, wanted, counts->spares);
  if (counts->ready < wanted)
    return usher_reason_new ("spares", "%" D " of %" D " spare(s) are ready, %" D " are being made", counts->ready,
                             wanted, wanted - counts->ready);
  return NULL;
}

UsherPoolPlan
usher_pool_plan (const UsherPoolCounts *counts)
{
  UsherPoolPlan plan = { 0 };
  gint64 free = counts->ready + counts->making;
  gint64 wanted = MIN (counts->spares, MAX (counts->maximum - counts->owned, 0));
  gint64 left_s = usher_pool_back_off (counts->failures, counts->failed_ago_s);

  if (counts->deleting)
    {
      plan.retire = free;
      plan.retire_failed = counts->failed;
      plan.retire_stale = counts->stale_ready + counts->stale_making;
      plan.reason = usher_reason_new ("deleting", "the pool is being deleted: %" D " desktop(s) are left",
                                      free + counts->owned + counts->failed + counts->stale_ready + counts->stale_making);
      return plan;
    }
  plan.retire = MAX (free - wanted, 0);
  plan.retire_stale = retire_stale (counts, wanted, left_s == 0);
  if (left_s == 0)
    plan.retire_failed = counts->failed;
  if (left_s > 0 && (counts->failed > 0 || free < wanted))
    hold_back (counts, left_s, &plan);
  else if (free < wanted)
    make (counts, MIN (wanted - free, room_beside (counts, counts->stale_ready + counts->stale_making - plan.retire_stale)),
          &plan);
  if (plan.reason == NULL)
    plan.reason = explain (counts, wanted);
  return plan;
}

void
usher_pool_plan_clear (UsherPoolPlan *plan)
{
  g_clear_pointer (&plan->reason, usher_reason_free);
}
