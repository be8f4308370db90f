/* How often something is done that each time does everything: at once when it was quiet, evenly spaced when it is busy
 * (a leaky bucket). */
#pragma once
#include <glib.h>

typedef struct {
  gint64 spacing_us; /* on average no closer than this... */
  guint burst;       /* ...and so many at once after a quiet time; at least 1 */
  gint64 due_us;     /* when those so far would have been done, evenly spaced, and one spacing more; 0 at first */
} UsherPace;

/* How long to wait at `now_us` (monotonic) before the next one; 0: none. */
gint64 usher_pace_get_pause_us (const UsherPace *pace, gint64 now_us);

/* One is done at `now_us`. */
void usher_pace_take (UsherPace *pace, gint64 now_us);
