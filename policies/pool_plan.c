#include "policies/pool_plan.h"

#define BACK_OFF_FIRST_S 5
#define BACK_OFF_LONGEST_S 300

gint64
usher_pool_back_off (gint64 failures, gint64 failed_ago_s)
{
  gint64 wait = BACK_OFF_FIRST_S;
  for (gint64 i = 1; i < failures && wait < BACK_OFF_LONGEST_S; i++)
    wait *= 2;
  return failures > 0 ? MAX (MIN (wait, BACK_OFF_LONGEST_S) - failed_ago_s, 0) : 0;
}

/* Makes `lacking` desktops, unless making them goes wrong just now. */
static void
make (const UsherPoolCounts *counts, gint64 lacking, UsherPoolPlan *plan)
{
  gint64 left = usher_pool_back_off (counts->failures, counts->failed_ago_s);
  if (left > 0)
    {
      plan->again_s = left;
      plan->reason = usher_reason_new ("back-off",
                                       "%" G_GINT64_FORMAT
                                       " desktop(s) one after the other failed: the next is made %" G_GINT64_FORMAT
                                       " s after the last",
                                       counts->failures, left + counts->failed_ago_s);
      return;
    }
  if (counts->failures > 0 && counts->making > 0)
    {
      plan->reason = usher_reason_new (
          "back-off", "%" G_GINT64_FORMAT " desktop(s) one after the other failed: one is tried at a time",
          counts->failures);
      return;
    }
  plan->create = counts->failures > 0 ? 1 : lacking;
}

UsherPoolPlan
usher_pool_plan (const UsherPoolCounts *counts)
{
  UsherPoolPlan plan = { 0 };
  gint64 free = counts->ready + counts->making;
  gint64 room = MAX (counts->maximum - counts->owned, 0);
  gint64 wanted = counts->deleting ? 0 : MIN (counts->spares, room);

  if (counts->deleting)
    plan.reason = usher_reason_new ("deleting", "the pool is being deleted: %" G_GINT64_FORMAT " desktop(s) are left",
                                    free + counts->owned + counts->failed);
  plan.retire_failed = counts->failed;
  if (free > wanted)
    plan.retire = free - wanted;
  else if (free < wanted)
    make (counts, wanted - free, &plan);
  if (plan.reason == NULL && wanted < counts->spares)
    plan.reason = usher_reason_new ("maximum",
                                    "%" G_GINT64_FORMAT " of at most %" G_GINT64_FORMAT
                                    " desktops belong to somebody: there is room for %" G_GINT64_FORMAT
                                    " spare(s) of %" G_GINT64_FORMAT,
                                    counts->owned, counts->maximum, room, counts->spares);
  if (plan.reason == NULL && counts->ready < wanted)
    plan.reason = usher_reason_new ("spares",
                                    "%" G_GINT64_FORMAT " of %" G_GINT64_FORMAT " spare(s) are ready, %" G_GINT64_FORMAT
                                    " are being made",
                                    counts->ready, wanted, wanted - counts->ready);
  return plan;
}

void
usher_pool_plan_clear (UsherPoolPlan *plan)
{
  g_clear_pointer (&plan->reason, usher_reason_free);
}
