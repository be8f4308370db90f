/* A token bucket that keeps fetches under a rate, all together. Pure: the caller has the clock, and waits. */
#pragma once
#include <glib.h>

typedef struct {
  gint64 rate;  /* bytes a second; 0: no limit */
  gint64 level; /* bytes that may pass now; below 0: so many too many have passed */
  gint64 at_us; /* when `level` was so */
} UsherBucket;

/* Full: a quarter of a second's worth may pass at once. */
UsherBucket usher_bucket_new (gint64 rate, gint64 now_us);

/* Notes that `bytes` have passed at `now_us` (monotonic). Returns for how many µs nothing more may pass. */
gint64 usher_bucket_take (UsherBucket *bucket, gint64 bytes, gint64 now_us);
