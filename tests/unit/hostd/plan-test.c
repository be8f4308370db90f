/* Unit tests of hostd/desktops/plan: each row is a moment in a desktop's life, and what comes next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "hostd/desktops/plan.h"

#define NOW 1000000
#define NOW_S 1700000000
#define GRACE 60000

/* Parts of facts that rows put together. */
#define MADE .known = TRUE, .has_dir = TRUE, .made = TRUE, .ready_timeout_s = 100
#define OFF MADE, .machine = USHER_MACHINE_OFF, .starts = 1
#define UP_FOR(s) MADE, .machine = USHER_MACHINE_RUNNING, .starts = 1, .run_start = 1, .run_started_at_s = NOW_S - (s)
#define UP UP_FOR (10)
#define READY UP, .ready = TRUE
#define PAUSED(why) MADE, .machine = USHER_MACHINE_PAUSED, .machine_why = why, .starts = 1, .ready = TRUE

typedef struct {
  const char *what;
  UsherWantedDesktop wanted;
  UsherFacts facts;
  UsherTried tried;
  UsherAction action;
  gint64 again_ms;
  UsherSeenState seen;
  const char *reason; /* NULL: "" */
} Row;

#define RUNNING .wanted = USHER_WANTED_RUNNING
#define STOPPED .wanted = USHER_WANTED_STOPPED
#define GONE .wanted = USHER_WANTED_GONE

static char secret[] = "secret", alice[] = "alice", nobody[] = "";

/* What its parent allows. */
#define LINKED { USHER_FORK_NEVER, NULL }
#define WAIT { USHER_FORK_WAIT, "its parent boots" }
#define FORK { USHER_FORK_NOW, NULL }
#define NEVER { USHER_FORK_NEVER, "no agent" }
#define HALF .known = TRUE, .has_dir = TRUE, .making = TRUE

static const Row rows[] = {
  /* from nothing to ready */
  { "nothing known yet", { RUNNING }, { .machine_why = "" }, { 0 }, USHER_DO_NOTHING, 0, USHER_SEEN_CREATING, NULL },
  { "nothing there", { RUNNING }, { .known = TRUE }, { 0 }, USHER_DO_CLONE, 0, USHER_SEEN_CREATING, NULL },
  { "half made", { RUNNING }, { .known = TRUE, .has_dir = TRUE }, { 0 }, USHER_DO_CLONE, 0, USHER_SEEN_CREATING, NULL },
  { "made", { RUNNING }, { MADE }, { 0 }, USHER_DO_START, 0, USHER_SEEN_CREATING, NULL },
  { "defined, and never started", { RUNNING }, { MADE, .machine = USHER_MACHINE_OFF }, { 0 }, USHER_DO_START, 0, USHER_SEEN_CREATING, NULL },
  { "started", { RUNNING }, { UP }, { 0 }, USHER_DO_PING, 0, USHER_SEEN_STARTING, NULL },
  { "asked just now", { RUNNING }, { UP }, { .ping_at = NOW + 5 }, USHER_DO_NOTHING, NOW + 5, USHER_SEEN_STARTING, NULL },
  { "ready", { RUNNING }, { READY }, { 0 }, USHER_DO_NOTHING, 0, USHER_SEEN_READY, NULL },
  /* its template is still to come */
  { "its template comes", { RUNNING }, { .known = TRUE }, { .waiting = secret }, USHER_DO_NOTHING, 0, USHER_SEEN_CREATING, "secret" },
  { "its template does not come", { STOPPED }, { .known = TRUE }, { .waiting = secret, .waiting_failed = TRUE }, USHER_DO_NOTHING, 0,
    USHER_SEEN_FAILED, "secret" },
  { "made, and another's template comes", { RUNNING }, { MADE }, { .waiting = secret }, USHER_DO_START, 0, USHER_SEEN_CREATING, NULL },
  { "half made, and its template comes", { RUNNING }, { HALF }, { .waiting = secret }, USHER_DO_NOTHING, 0, USHER_SEEN_CREATING, "secret" },
  { "a fresh system's template comes", { RUNNING, .system_revision = 1 }, { READY }, { .waiting = secret }, USHER_DO_NOTHING, 0,
    USHER_SEEN_STARTING, "secret" },
  { "gone before its template came", { GONE }, { .known = TRUE, .has_dir = TRUE }, { .waiting = secret }, USHER_DO_REMOVE, 0,
    USHER_SEEN_DELETING, NULL },
  /* what goes wrong */
  { "clone failed", { RUNNING }, { .known = TRUE }, { .failures = 1, .retry_at = NOW + 9, .failure = secret }, USHER_DO_NOTHING, NOW + 9,
    USHER_SEEN_FAILED, "secret" },
  { "time to try again", { RUNNING }, { .known = TRUE }, { .failures = 1, .retry_at = NOW, .failure = secret }, USHER_DO_CLONE, 0,
    USHER_SEEN_FAILED, "secret" },
  { "crashed", { RUNNING }, { OFF, .machine_why = "crashed" }, { 0 }, USHER_DO_START, 0, USHER_SEEN_STARTING, NULL },
  { "crashes again and again", { RUNNING }, { OFF }, { .start_at = NOW + 7 }, USHER_DO_NOTHING, NOW + 7, USHER_SEEN_STARTING, NULL },
  { "domain gone, disk there", { RUNNING }, { MADE, .starts = 1 }, { 0 }, USHER_DO_START, 0, USHER_SEEN_STARTING, NULL },
  { "disk gone", { RUNNING }, { OFF, .damage = "disk gone" }, { 0 }, USHER_DO_NOTHING, 0, USHER_SEEN_FAILED, "disk gone" },
  { "all files gone under a domain", { RUNNING }, { .known = TRUE, .machine = USHER_MACHINE_OFF, .damage = "disk gone" }, { 0 },
    USHER_DO_NOTHING, 0, USHER_SEEN_FAILED, "disk gone" },
  { "not ready in time", { RUNNING }, { UP_FOR (101) }, { 0 }, USHER_DO_PING, 0, USHER_SEEN_FAILED,
    "not ready in time" },
  { "not ready for long", { RUNNING }, { UP_FOR (201) }, { 0 }, USHER_DO_DESTROY, 0, USHER_SEEN_FAILED,
    "not ready in time" },
  { "ready long ago", { RUNNING }, { UP_FOR (9999), .ready = TRUE }, { 0 }, USHER_DO_NOTHING, 0, USHER_SEEN_READY, NULL },
  { "the clock went back", { RUNNING }, { UP_FOR (-500) }, { 0 }, USHER_DO_PING, 0, USHER_SEEN_STARTING, NULL },
  { "paused: disk full", { RUNNING }, { PAUSED ("no space") }, { 0 }, USHER_DO_RESUME, 0,
    USHER_SEEN_FAILED, "no space" },
  { "id taken", { RUNNING }, { .known = TRUE, .machine = USHER_MACHINE_FOREIGN }, { 0 }, USHER_DO_NOTHING, 0, USHER_SEEN_FAILED,
    "a domain with this id is there and is not ours" },
  /* console secret */
  { "secret wanted", { RUNNING, .console_revision = 2, .console_secret = secret }, { READY, .console_revision = 1 }, { 0 },
    USHER_DO_SET_CONSOLE, 0, USHER_SEEN_READY, NULL },
  { "secret in force", { RUNNING, .console_revision = 2, .console_secret = secret }, { READY, .console_revision = 2 }, { 0 },
    USHER_DO_NOTHING, 0, USHER_SEEN_READY, NULL },
  { "secret before ready", { RUNNING, .console_revision = 2, .console_secret = secret }, { UP }, { 0 }, USHER_DO_SET_CONSOLE, 0,
    USHER_SEEN_STARTING, NULL },
  /* its user */
  { "a spare got its person", { RUNNING, .user = alice }, { READY, .ready_by_agent = TRUE }, { 0 }, USHER_DO_TELL_USER, 0, USHER_SEEN_READY,
    NULL },
  { "its guest was told", { RUNNING, .user = alice }, { READY, .ready_by_agent = TRUE, .user = "alice" }, { 0 }, USHER_DO_NOTHING, 0,
    USHER_SEEN_READY, NULL },
  { "the secret first", { RUNNING, .user = alice, .console_revision = 2, .console_secret = secret }, { READY, .ready_by_agent = TRUE }, { 0 },
    USHER_DO_SET_CONSOLE, 0, USHER_SEEN_READY, NULL },
  { "nobody can be told yet", { RUNNING, .user = alice }, { UP, .ready_by_agent = TRUE }, { 0 }, USHER_DO_PING, 0, USHER_SEEN_STARTING, NULL },
  { "nobody can be told ever", { RUNNING, .user = alice }, { READY }, { 0 }, USHER_DO_NOTHING, 0, USHER_SEEN_READY, NULL },
  { "nobody's", { RUNNING, .user = nobody }, { READY, .ready_by_agent = TRUE, .user = "alice" }, { 0 }, USHER_DO_NOTHING, 0, USHER_SEEN_READY,
    NULL },
  /* restart */
  { "restart wanted", { RUNNING, .restart_revision = 1 }, { READY }, { 0 }, USHER_DO_REBOOT, 0, USHER_SEEN_STARTING, NULL },
  { "guest asked", { RUNNING, .restart_revision = 1 }, { READY }, { .asked_reboot_at = NOW - 5 }, USHER_DO_NOTHING, NOW - 5 + GRACE,
    USHER_SEEN_STARTING, NULL },
  { "guest did", { RUNNING, .restart_revision = 1 }, { READY }, { .asked_reboot_at = NOW - 5, .rebooted = TRUE }, USHER_DO_NOTE_RESTART, 0,
    USHER_SEEN_STARTING, NULL },
  { "guest did not", { RUNNING, .restart_revision = 1 }, { READY }, { .asked_reboot_at = NOW - GRACE }, USHER_DO_RESET, 0,
    USHER_SEEN_STARTING, NULL },
  { "restarted", { RUNNING, .restart_revision = 1 }, { READY, .restart_revision = 1 }, { 0 }, USHER_DO_NOTHING, 0, USHER_SEEN_READY, NULL },
  { "off: starting it restarts it", { RUNNING, .restart_revision = 1 }, { OFF }, { 0 }, USHER_DO_START, 0, USHER_SEEN_STARTING, NULL },
  /* stop */
  { "stop a running one", { STOPPED }, { READY }, { 0 }, USHER_DO_SHUTDOWN, 0, USHER_SEEN_READY, NULL },
  { "it is shutting down", { STOPPED }, { READY }, { .asked_shutdown_at = NOW - 1 }, USHER_DO_NOTHING, NOW - 1 + GRACE, USHER_SEEN_READY, NULL },
  { "it does not", { STOPPED }, { READY }, { .asked_shutdown_at = NOW - GRACE }, USHER_DO_DESTROY, 0, USHER_SEEN_READY, NULL },
  { "stopped", { STOPPED }, { OFF }, { 0 }, USHER_DO_NOTHING, 0, USHER_SEEN_STOPPED, NULL },
  { "to be stopped before it was made", { STOPPED }, { .known = TRUE }, { 0 }, USHER_DO_CLONE, 0, USHER_SEEN_CREATING, NULL },
  { "stopped, disk lost", { STOPPED }, { .known = TRUE, .machine = USHER_MACHINE_OFF, .damage = "disk gone" }, { 0 }, USHER_DO_NOTHING, 0,
    USHER_SEEN_FAILED, "disk gone" },
  /* gone */
  { "end a running one", { GONE }, { READY }, { 0 }, USHER_DO_DESTROY, 0, USHER_SEEN_DELETING, NULL },
  { "end a paused one", { GONE }, { PAUSED ("paused") }, { 0 }, USHER_DO_DESTROY, 0,
    USHER_SEEN_DELETING, "paused" },
  { "ended", { GONE }, { OFF }, { 0 }, USHER_DO_UNDEFINE, 0, USHER_SEEN_DELETING, NULL },
  { "undefined", { GONE }, { MADE }, { 0 }, USHER_DO_REMOVE, 0, USHER_SEEN_DELETING, NULL },
  { "half removed", { GONE }, { .known = TRUE, .has_dir = TRUE }, { 0 }, USHER_DO_REMOVE, 0, USHER_SEEN_DELETING, NULL },
  { "nothing left", { GONE }, { .known = TRUE }, { 0 }, USHER_DO_NOTHING, 0, USHER_SEEN_ABSENT, NULL },
  { "damaged ones go too", { GONE }, { OFF, .damage = "disk gone" }, { 0 }, USHER_DO_UNDEFINE, 0, USHER_SEEN_DELETING, NULL },
  { "another's domain is left alone", { GONE }, { .known = TRUE, .machine = USHER_MACHINE_FOREIGN }, { 0 }, USHER_DO_NOTHING, 0,
    USHER_SEEN_ABSENT, NULL },
};

static const struct {
  UsherForkView fork;
  Row row;
} clone_rows[] = {
  /* instant clones */
  { WAIT, { "no parent yet", { RUNNING }, { .known = TRUE }, { 0 }, USHER_DO_NOTHING, NOW + 5000, USHER_SEEN_CREATING, "its parent boots" } },
  { FORK, { "the parent is ready", { RUNNING }, { .known = TRUE }, { 0 }, USHER_DO_FORK, 0, USHER_SEEN_CREATING, NULL } },
  { NEVER, { "there will be no parent", { RUNNING }, { .known = TRUE }, { 0 }, USHER_DO_CLONE, 0, USHER_SEEN_CREATING, NULL } },
  { FORK, { "killed while it was forked", { RUNNING }, { HALF, .machine = USHER_MACHINE_RUNNING }, { 0 }, USHER_DO_DESTROY, 0, USHER_SEEN_CREATING,
    NULL } },
  { FORK, { "killed before its state was in", { RUNNING }, { HALF, .machine = USHER_MACHINE_PAUSED, .machine_why = "paused" }, { 0 },
    USHER_DO_DESTROY, 0, USHER_SEEN_CREATING, NULL } },
  { FORK, { "half forked, ended", { RUNNING }, { HALF, .machine = USHER_MACHINE_OFF }, { 0 }, USHER_DO_FORK, 0, USHER_SEEN_CREATING, NULL } },
  { WAIT, { "half forked, the parent gone", { RUNNING }, { HALF, .machine = USHER_MACHINE_OFF }, { 0 }, USHER_DO_NOTHING, NOW + 5000,
    USHER_SEEN_CREATING, "its parent boots" } },
  { NEVER, { "half forked, and now it can't be", { RUNNING }, { HALF, .machine = USHER_MACHINE_OFF }, { 0 }, USHER_DO_CLONE, 0, USHER_SEEN_CREATING,
    NULL } },
  { FORK, { "a fork that ended starts cold", { RUNNING }, { OFF, .clone = USHER_CLONE_INSTANT }, { 0 }, USHER_DO_START, 0, USHER_SEEN_STARTING,
    NULL } },
  { FORK, { "a fork restarts as any", { RUNNING, .restart_revision = 1 }, { READY, .clone = USHER_CLONE_INSTANT }, { 0 }, USHER_DO_REBOOT, 0,
    USHER_SEEN_STARTING, NULL } },
  { FORK, { "to be stopped, half forked", { STOPPED }, { HALF, .machine = USHER_MACHINE_RUNNING }, { 0 }, USHER_DO_DESTROY, 0, USHER_SEEN_CREATING,
    NULL } },
  { FORK, { "end one half forked", { GONE }, { HALF, .machine = USHER_MACHINE_PAUSED, .machine_why = "paused" }, { 0 }, USHER_DO_DESTROY, 0,
    USHER_SEEN_DELETING, NULL } },
  { WAIT, { "end one that waits", { GONE }, { .known = TRUE }, { 0 }, USHER_DO_NOTHING, 0, USHER_SEEN_ABSENT, NULL } },
  /* a fresh system */
  { LINKED, { "fresh system wanted", { RUNNING, .system_revision = 2 }, { READY, .system_revision = 1 }, { 0 }, USHER_DO_SHUTDOWN, 0,
    USHER_SEEN_STARTING, "it gets a fresh system" } },
  { LINKED, { "the guest shuts down for it", { RUNNING, .system_revision = 2 }, { READY }, { .asked_shutdown_at = NOW - 1 }, USHER_DO_NOTHING,
    NOW - 1 + GRACE, USHER_SEEN_STARTING, "it gets a fresh system" } },
  { LINKED, { "the guest does not", { RUNNING, .system_revision = 2 }, { READY }, { .asked_shutdown_at = NOW - GRACE }, USHER_DO_DESTROY, 0,
    USHER_SEEN_STARTING, "it gets a fresh system" } },
  { LINKED, { "it is off: another disk", { RUNNING, .system_revision = 2 }, { OFF }, { 0 }, USHER_DO_CLONE, 0, USHER_SEEN_STARTING,
    "it gets a fresh system" } },
  { FORK, { "it is off: another fork", { RUNNING, .system_revision = 2 }, { OFF }, { 0 }, USHER_DO_FORK, 0, USHER_SEEN_STARTING,
    "it gets a fresh system" } },
  { WAIT, { "it is off, and waits", { RUNNING, .system_revision = 2 }, { OFF }, { 0 }, USHER_DO_NOTHING, NOW + 5000, USHER_SEEN_STARTING,
    "its parent boots" } },
  { LINKED, { "half replaced", { RUNNING, .system_revision = 2 }, { HALF, .starts = 3, .machine = USHER_MACHINE_OFF }, { 0 }, USHER_DO_CLONE, 0,
    USHER_SEEN_STARTING, NULL } },
  { LINKED, { "replaced", { RUNNING, .system_revision = 2 }, { OFF, .system_revision = 2, .start_reason = "fresh" }, { 0 }, USHER_DO_START, 0,
    USHER_SEEN_STARTING, "fresh" } },
  { LINKED, { "fresh system before anything was made", { RUNNING, .system_revision = 2 }, { .known = TRUE }, { 0 }, USHER_DO_CLONE, 0,
    USHER_SEEN_CREATING, NULL } },
  { LINKED, { "fresh system of a stopped one", { STOPPED, .system_revision = 2 }, { OFF }, { 0 }, USHER_DO_CLONE, 0, USHER_SEEN_STOPPED, NULL } },
  { LINKED, { "fresh system of a damaged one", { RUNNING, .system_revision = 2 }, { OFF, .damage = "data disk gone" }, { 0 }, USHER_DO_NOTHING, 0,
    USHER_SEEN_FAILED, "data disk gone" } },
  { LINKED, { "fresh system and restart: one boot", { RUNNING, .system_revision = 1, .restart_revision = 1 }, { READY }, { 0 }, USHER_DO_SHUTDOWN, 0,
    USHER_SEEN_STARTING, "it gets a fresh system" } },
};

static void
check (const Row *row, UsherForkView fork)
{
  UsherPlanTime time = { NOW, NOW_S, GRACE };
  const char *reason;
  UsherPlan plan = usher_desktop_plan (&row->wanted, &row->facts, &row->tried, fork, time);
  UsherSeenState seen = usher_desktop_seen (&row->wanted, &row->facts, &row->tried, fork, NOW_S, &reason);
  if (plan.action != row->action || plan.again_ms != row->again_ms || seen != row->seen
      || g_strcmp0 (reason, row->reason != NULL ? row->reason : "") != 0)
    fail_msg ("%s: does %s (again %" G_GINT64_FORMAT "), seen %s «%s»", row->what, usher_action_name (plan.action), plan.again_ms,
              usher_seen_state_name (seen), reason);
}

static void
every_row (void **state)
{
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    check (&rows[i], (UsherForkView) LINKED);
}

static void
every_clone_row (void **state)
{
  for (gsize i = 0; i < G_N_ELEMENTS (clone_rows); i++)
    check (&clone_rows[i].row, clone_rows[i].fork);
}

/* Whatever is seen, one that nobody speaks of is left alone and reported as it is. */
static void
unspoken_ones_are_left_alone (void **state)
{
  UsherPlanTime time = { NOW, NOW_S, GRACE };
  static const struct { UsherFacts facts; UsherSeenState seen; } cases[] = {
    { { .known = TRUE }, USHER_SEEN_ABSENT }, { { .known = TRUE, .has_dir = TRUE }, USHER_SEEN_CREATING },
    { { OFF }, USHER_SEEN_STOPPED }, { { UP }, USHER_SEEN_STARTING }, { { READY }, USHER_SEEN_READY },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      UsherTried tried = { 0 };
      UsherForkView fork = { USHER_FORK_NOW, NULL };
      const char *reason;
      assert_int_equal (usher_desktop_plan (NULL, &cases[i].facts, &tried, fork, time).action, USHER_DO_NOTHING);
      assert_int_equal (usher_desktop_seen (NULL, &cases[i].facts, &tried, fork, NOW_S, &reason), cases[i].seen);
    }
}

static void
pauses_grow_to_a_minute (void **state)
{
  assert_int_equal (usher_desktop_backoff_ms (0), 0);
  assert_int_equal (usher_desktop_backoff_ms (1), 1000);
  assert_int_equal (usher_desktop_backoff_ms (2), 2000);
  assert_int_equal (usher_desktop_backoff_ms (6), 32000);
  assert_int_equal (usher_desktop_backoff_ms (7), 60000);
  assert_int_equal (usher_desktop_backoff_ms (G_MAXUINT), 60000);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (every_row),
    cmocka_unit_test (every_clone_row),
    cmocka_unit_test (unspoken_ones_are_left_alone),
    cmocka_unit_test (pauses_grow_to_a_minute),
  };
  return cmocka_run_group_tests_name ("hostd/plan", tests, NULL, NULL);
}
