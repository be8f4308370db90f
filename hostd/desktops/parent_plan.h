/* What to do next about one parent of instant clones: a pure function of what is there, whether it is wanted and what was
 * tried. Times in milliseconds of one monotonic clock. */
#pragma once
#include <glib.h>
#include "common/error.h"
#include "hostd/clone/parents.h"

#define USHER_PARENT_TRIES 3 /* after so many failures in a row its desktops do not wait for it any more */

typedef enum {
  USHER_PARENT_DO_NOTHING, /* until something changes, or `again_ms` */
  USHER_PARENT_DO_BEGIN,
  USHER_PARENT_DO_ASK,     /* whether it is ready */
  USHER_PARENT_DO_FREEZE,
  USHER_PARENT_DO_LOAD,
  USHER_PARENT_DO_DISCARD, /* what is half built */
  USHER_PARENT_DO_GIVE_UP, /* the same, because it was not ready in time: a failure */
  USHER_PARENT_DO_RETIRE,  /* what is frozen */
} UsherParentAction;

/* For logs; static. */
const char *usher_parent_action_name (UsherParentAction action);

/* What is known of one parent. A fresh one is zeros. */
typedef struct {
  UsherParentStage stage;
  gboolean begun_here;     /* of USHER_PARENT_HALF: by this process */
  gint64 begun_at, ask_at; /* ask_at: not asked before */
  gint64 give_up_ms;       /* after begun_at */
  gboolean ready;          /* it said so: time to freeze it */
  gboolean broken;         /* frozen, and not good to fork from */
  guint failures;          /* in a row: since a desktop was last forked from it */
  guint lasting;           /* those of them that speak against waiting for it */
  gint64 retry_at;         /* nothing that failed is tried before */
  gboolean unable;         /* it can't be had on this host */
  const char *failure;     /* why; NULL when failures is 0 and it is not unable. Borrowed */
} UsherParentTried;

typedef struct {
  UsherParentAction action;
  gint64 again_ms;
} UsherParentPlan;

UsherParentPlan usher_parent_plan (gboolean wanted, const UsherParentTried *tried, gint64 now);

UsherParentState usher_parent_seen (const UsherParentTried *tried);

/* What is under way or in the way, in words; "" when it is ready. The time it has been booting counts in tens of seconds, so
 * that it is not news each second. Owned by the caller. */
char *usher_parent_dup_reason (const UsherParentTried *tried, gint64 now);

/* Whether its desktops do without it. */
gboolean usher_parent_is_hopeless (const UsherParentTried *tried);

/* Counts a failure: sets all of failures, lasting, retry_at and unable. */
void usher_parent_note_failure (UsherParentTried *tried, const GError *failure, gint64 now);

/* How long to wait after `failures` failures in a row: 1 s, doubled each time, 5 min at most: a boot costs a host much. */
gint64 usher_parent_backoff_ms (guint failures);
