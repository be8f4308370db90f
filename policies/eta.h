/* How long until a desktop answers: "about 20 s". */
#pragma once
#include <glib.h>

#define USHER_ETA_UNKNOWN_S 60        /* what is said when no desktop was made yet */
#define USHER_ETA_UNKNOWN_INSTANT_S 2 /* the same, when it is forked from a parent that is ready */
#define USHER_ETA_TIMES_MAX 32

/* The median of the `n` recent times (seconds; at most USHER_ETA_TIMES_MAX are looked at) less what has passed, rounded
 * up to whole 5 s above 10 s; at least 1. One that is late is said to take a fifth of the median more. */
guint usher_eta_estimate (const gint64 *times_s, gsize n, gint64 elapsed_s);

/* The parent that it is forked from. */
typedef enum {
  USHER_ETA_NO_PARENT, /* it is no instant clone */
  USHER_ETA_PARENT_TO_COME,
  USHER_ETA_PARENT_BUILDING,
  USHER_ETA_PARENT_READY,
} UsherEtaParent;

/* What is known of the desktop's kind; times in seconds. */
typedef struct {
  const gint64 *linked_s; /* how long the newest linked clones took */
  gsize n_linked;
  const gint64 *instant_s; /* the newest instant ones */
  gsize n_instant;
  UsherEtaParent parent;
  gint64 parent_took_s;    /* how long building it took the last time; 0: not known, then as long as a linked clone */
  gint64 parent_elapsed_s; /* since it is being built */
  gint64 elapsed_s;        /* since the desktop was asked for */
} UsherEtaWish;

/* Until it answers: a linked clone's time, an instant one's, or what is left of building the parent and then that. */
guint usher_eta_of (const UsherEtaWish *wish);
