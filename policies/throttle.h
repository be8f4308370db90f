/* How long a sign-in attempt is held back. */
#pragma once
#include <glib.h>

typedef struct {
  guint window_s; /* failures older than this are forgotten */
  guint free;     /* so many failures cost nothing */
  guint first_s;  /* the wait after the next one; doubles with each */
  guint longest_s;
  guint pending_max; /* attempts under way at a time */
} UsherThrottleRule;

/* For one account, and for one address (an address may be a whole office behind one router). */
extern const UsherThrottleRule usher_throttle_user, usher_throttle_address;

/* What is known of earlier attempts. */
typedef struct {
  guint failures;    /* within window_s */
  gint64 last_ago_s; /* since the newest failure; any value without one */
  guint pending;     /* begun and not settled, without this one */
} UsherThrottleHistory;

/* Seconds to wait before an attempt may be made; 0: now. */
guint usher_throttle_wait (const UsherThrottleRule *rule, const UsherThrottleHistory *history);
