#include "policies/throttle.h"

const UsherThrottleRule usher_throttle_user
    = { .window_s = 900, .free = 4, .first_s = 2, .longest_s = 300, .pending_max = 64 };
const UsherThrottleRule usher_throttle_address
    = { .window_s = 900, .free = 50, .first_s = 2, .longest_s = 60, .pending_max = 512 };

/* first_s, doubled for each failure over the free ones, at most longest_s. */
static guint
pause_s (const UsherThrottleRule *rule, guint over)
{
  guint pause = rule->first_s;
  for (guint i = 1; i < over && pause < rule->longest_s; i++)
    pause *= 2;
  return MIN (pause, rule->longest_s);
}

guint
usher_throttle_wait (const UsherThrottleRule *rule, const UsherThrottleHistory *history)
{
  if (history->pending >= rule->pending_max)
    return 1;
  if (history->failures <= rule->free)
    return 0;
  gint64 left = (gint64) pause_s (rule, history->failures - rule->free) - MAX (history->last_ago_s, 0);
  return left > 0 ? (guint) left : 0;
}
