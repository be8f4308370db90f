/* How long until a desktop answers: "about 20 s". */
#pragma once
#include <glib.h>

#define USHER_ETA_UNKNOWN_S 60 /* what is said when no desktop was made yet */
#define USHER_ETA_TIMES_MAX 32

/* The median of the `n` recent times (seconds; at most USHER_ETA_TIMES_MAX are looked at) less what has passed, rounded
 * up to whole 5 s above 10 s; at least 1. One that is late is said to take a fifth of the median more. */
guint usher_eta_estimate (const gint64 *times_s, gsize n, gint64 elapsed_s);
