#include "common/pace.h"

gint64
usher_pace_get_pause_us (const UsherPace *pace, gint64 now_us)
{
  return MAX (0, pace->due_us - ((gint64) pace->burst - 1) * pace->spacing_us - now_us);
}

void
usher_pace_take (UsherPace *pace, gint64 now_us)
{
  pace->due_us = MAX (pace->due_us, now_us) + pace->spacing_us;
}
