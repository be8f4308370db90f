/* How many desktops a pool makes or gives up now. */
#pragma once
#include "policies/reason.h"

typedef struct {
  gint64 spares, maximum; /* as the administrator wants them */
  gboolean deleting;      /* the pool is to go */
  /* its desktops, each counted once */
  gint64 ready;  /* spare: nobody's, answered once */
  gint64 making; /* planned or provisioning, nobody's */
  gint64 owned;  /* somebody's, in whatever live state */
  gint64 failed; /* failed before they ever answered, or nobody's: to be replaced */
  /* nobody's, and not as the pool wants them any more (another template version, size or kind): neither ready nor making */
  gint64 stale_ready, stale_making;
  /* making desktops went wrong */
  gint64 failures;     /* one after the other, without one that answered since */
  gint64 failed_ago_s; /* since the newest of them */
  const char *failure; /* why the newest of them failed; may be NULL */
} UsherPoolCounts;

typedef struct {
  gint64 create;
  gint64 retire;        /* of ready and making ones: those being made first */
  gint64 retire_failed; /* of failed */
  gint64 retire_stale;  /* of the stale ones: those being made first */
  gint64 again_s;       /* look again after so many seconds though nothing changes; 0: no need */
  UsherReason *reason;  /* why not more; NULL when the promise is kept */
} UsherPoolPlan;

/* Seconds that no desktop is made after `failures` in a row, the newest `failed_ago_s` ago: 5 s doubled failures-1
 * times, at most 300 s; 0: none. */
gint64 usher_pool_back_off (gint64 failures, gint64 failed_ago_s);

/* Rules: "spares", "maximum", "back-off", "deleting", "outdated". create and retire are never both positive. Stale spares stay
 * until others are ready in their place, of which a quarter of the spares are made at a time. After failures none is
 * made, and no failed one retired, for the time of back-off; then one at a time until one answers. */
UsherPoolPlan usher_pool_plan (const UsherPoolCounts *counts);

void usher_pool_plan_clear (UsherPoolPlan *plan);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (UsherPoolPlan, usher_pool_plan_clear)
