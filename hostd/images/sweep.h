/* Keeping the host's own store small: removes fetched versions that nothing uses (evict.h decides), and what fetches that
 * nobody wants any more have left. Never what lies on shared storage, and never what was put there by hand: it has no mark.
 * Blocks; for worker threads. */
#pragma once
#include "hostd/images/fetch.h"

typedef struct {
  UsherFetchGround *ground;
  const char *state_dir; /* what is under it may stand on a version */
  gint64 keep_s;
} UsherSweepGround;

/* `wanted` is a set of "NAME/VERSION" that the broker wants; `short_bytes` should come free sooner than keep_s. */
void usher_sweep (const UsherSweepGround *sweep, GHashTable *wanted, gint64 short_bytes);
