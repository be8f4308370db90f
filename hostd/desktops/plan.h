/* What to do next about one desktop: a pure function of what is wanted, what is seen and what was tried.
 *
 * Level-triggered: each action brings the facts one step nearer to what is wanted and may be repeated; after
 * it one looks again. No clock and no libvirt here: times are given, in milliseconds of one monotonic clock
 * unless named otherwise. */
#pragma once
#include <glib.h>
#include "common/rpc/sync.h"

typedef enum {
  USHER_DO_NOTHING, /* until something changes, or `again_ms` */
  USHER_DO_CLONE,   /* make its directory, disks and record; where there is a system disk already, another in its place */
  USHER_DO_FORK,    /* the same, from its parent, and running at the end of it */
  USHER_DO_START,   /* define and start its domain: from its own disk, always */
  USHER_DO_RESUME,
  USHER_DO_PING,           /* ask whether it is ready */
  USHER_DO_SET_CONSOLE,    /* put the wanted console secret in force */
  USHER_DO_TELL_USER,      /* tell its guest whose it is */
  USHER_DO_REBOOT,         /* ask the guest to restart */
  USHER_DO_RESET,          /* restart it without asking, and note that as the wanted restart */
  USHER_DO_NOTE_RESTART,   /* it restarted as asked: note it */
  USHER_DO_SHUTDOWN,       /* ask the guest to shut down */
  USHER_DO_DESTROY,        /* end its domain without asking */
  USHER_DO_UNDEFINE,
  USHER_DO_REMOVE,         /* its directory */
} UsherAction;

/* For logs; static. */
const char *usher_action_name (UsherAction action);

/* Whether the failure is not the desktop's: nothing could be found out, or it changed under the action (QEMU ended meanwhile).
 * It stays as last seen, and one looks again. What making and starting lack is not about a domain that runs: it is meant. */
gboolean usher_action_is_only_late (UsherAction action, const GError *failure);

typedef enum {
  USHER_MACHINE_NONE,
  USHER_MACHINE_FOREIGN, /* its id is taken by a domain that is not ours */
  USHER_MACHINE_OFF,
  USHER_MACHINE_RUNNING,
  USHER_MACHINE_PAUSED,
} UsherMachine;

/* What was seen at the last look. */
typedef struct {
  gboolean known;            /* FALSE: never looked with success; nothing else counts */
  gboolean has_dir, made;    /* made: there is a system to start */
  gboolean making;           /* its system was begun and is not done: what runs of it is of no worth */
  const char *damage;        /* static: why its files can't be used, which only deleting it mends; NULL: nothing */
  UsherMachine machine;
  const char *machine_why;   /* static, "" when there is nothing to say */
  int spice_port;
  /* of the record; zeros without one */
  gint64 starts, restart_revision, system_revision, ready_timeout_s;
  UsherCloneKind clone;
  char clone_reason[200];
  gboolean ready_by_agent;
  char user[300];            /* whose it is, as its guest was told; "" nobody's */
  char start_reason[96];     /* why it was started again; "" the first time */
  /* of this run; zeros when not running */
  gboolean ready;
  gint64 run_start, run_started_at_s, console_revision;
} UsherFacts;

/* What was tried, in this process' life (tried.h keeps it). A fresh one is zeros: losing it costs repetition, no more. */
typedef struct {
  guint failures;             /* in a row */
  gint64 retry_at;            /* nothing that failed is tried before */
  char *failure;              /* why, for people; NULL when failures is 0. Owned by the engine */
  gint64 ping_at;             /* no ping before */
  guint fruitless;            /* starts in a row after which it never was ready */
  gint64 start_at;            /* no start before: set when starts were fruitless */
  gint64 asked_shutdown_at;   /* 0: not asked */
  gint64 asked_reboot_at;     /* 0: not asked */
  gboolean rebooted;          /* the guest was reset since it was asked */
  char *waiting;              /* the wanted template version is on its way: says so; NULL: no. Owned by the engine */
  gboolean lacks_template;    /* the last failure was for want of one */
  gboolean waiting_failed;    /* that version does not come for now */
} UsherTried;

/* Whether a system is made by forking. */
typedef enum {
  USHER_FORK_NEVER, /* a linked clone is made */
  USHER_FORK_WAIT,  /* the parent is not there yet */
  USHER_FORK_NOW,
} UsherForkChance;

typedef struct {
  UsherForkChance chance;
  const char *reason; /* what is waited for, or why never though wanted; borrowed; NULL: nothing to say */
} UsherForkView;

typedef struct {
  gint64 now;           /* monotonic ms */
  gint64 now_s;         /* Unix seconds */
  gint64 shutdown_ms;   /* grace for a guest that was asked */
} UsherPlanTime;

typedef struct {
  UsherAction action;
  gint64 again_ms;      /* plan again at this time at the latest; 0: only on a change */
} UsherPlan;

/* `wanted` NULL: nobody has said; then nothing is done. */
UsherPlan usher_desktop_plan (const UsherWantedDesktop *wanted, const UsherFacts *facts, const UsherTried *tried,
                              UsherForkView fork, UsherPlanTime time);

/* What to report. `reason` is borrowed from `tried`, `facts` or `fork`, or static: never NULL. */
UsherSeenState usher_desktop_seen (const UsherWantedDesktop *wanted, const UsherFacts *facts, const UsherTried *tried,
                                   UsherForkView fork, gint64 now_s, const char **out_reason);

/* Whether a system is to be made: there is none, or another is wanted. */
gboolean usher_desktop_needs_system (const UsherWantedDesktop *wanted, const UsherFacts *facts);

/* Whether what runs is to end by asking the guest. */
gboolean usher_desktop_is_to_end (const UsherWantedDesktop *wanted, const UsherFacts *facts);

/* How long to wait after `failures` failures in a row: 1 s, doubled each time, 60 s at most. */
gint64 usher_desktop_backoff_ms (guint failures);
