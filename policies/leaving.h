/* What becomes of somebody's desktop when the person has left. */
#pragma once
#include <glib.h>

/* How a pool's desktops belong to people. */
typedef enum {
  USHER_ASSIGNMENT_DEDICATED,    /* kept as it is */
  USHER_ASSIGNMENT_FLOATING,     /* wiped: the next sign-in gets another */
  USHER_ASSIGNMENT_FRESH_SYSTEM, /* kept, with a new system disk; its data disk stays */
} UsherAssignment;

/* "dedicated", "floating", "fresh-system"; static. */
const char *usher_assignment_name (UsherAssignment assignment);
/* FALSE when `name` is none of them (or NULL). */
gboolean usher_assignment_parse (const char *name, UsherAssignment *out);

/* A desktop whose owner has no sign-in that is good. */
typedef struct {
  UsherAssignment assignment;
  gboolean signed_out; /* the person ended the last sign-in; else it ran out, or was revoked */
  gboolean used;       /* somebody worked on it since it was made or got its system */
  gboolean in_use;     /* a session of it is open, or a ticket out */
  gint64 idle_s;       /* since the newest of: it became theirs, its last session ended, the last sign-in ended */
  gint64 linger_s;     /* the pool's */
} UsherLeaving;

typedef enum { USHER_LEAVING_KEEP, USHER_LEAVING_WIPE, USHER_LEAVING_REFRESH } UsherLeavingAct;

typedef struct {
  UsherLeavingAct act;
  gint64 again_s;  /* look again after so many seconds though nothing changes; 0: no need */
  const char *why; /* what the person did, to follow the name: "signed out"; static; NULL for keep */
} UsherLeavingPlan;

/* Who signs out is done with the desktop: also a session still open ends. Who is only away (the sign-in ran out or was
 * revoked) goes on with an open session, and may come back for linger_s after it ended. A system nobody used is fresh. */
UsherLeavingPlan usher_leaving_plan (const UsherLeaving *leaving);
