/* Unit tests of hostd/desktops/parent_plan: each row is a moment in a parent's life, and what comes next. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "hostd/desktops/parent_plan.h"

#define NOW 1000000
#define BOOTING(ms) .stage = USHER_PARENT_HALF, .begun_here = TRUE, .begun_at = NOW - (ms), .give_up_ms = 240000
#define LOADED .stage = USHER_PARENT_LOADED
#define FAILED(n, when) .failures = n, .retry_at = when, .failure = "why"

static const struct {
  const char *what;
  gboolean wanted;
  UsherParentTried tried;
  UsherParentAction action;
  gint64 again_ms;
  UsherParentState seen;
  const char *reason;
  gboolean hopeless;
} rows[] = {
  /* from nothing to ready */
  { "nothing there", TRUE, { 0 }, USHER_PARENT_DO_BEGIN, 0, USHER_PARENT_BUILDING, "being made", FALSE },
  { "booting", TRUE, { BOOTING (100), .ask_at = NOW + 5 }, USHER_PARENT_DO_NOTHING, NOW + 5, USHER_PARENT_BUILDING, "booting", FALSE },
  { "time to ask", TRUE, { BOOTING (25000), .ask_at = NOW }, USHER_PARENT_DO_ASK, 0, USHER_PARENT_BUILDING, "booting, 20 s", FALSE },
  { "it is ready", TRUE, { BOOTING (25000), .ready = TRUE }, USHER_PARENT_DO_FREEZE, 0, USHER_PARENT_BUILDING, "being frozen", FALSE },
  { "frozen", TRUE, { LOADED }, USHER_PARENT_DO_NOTHING, 0, USHER_PARENT_READY, "", FALSE },
  /* hostd was restarted */
  { "frozen by the hostd before", TRUE, { .stage = USHER_PARENT_SAVED }, USHER_PARENT_DO_LOAD, 0, USHER_PARENT_BUILDING,
    "being read from disk", FALSE },
  { "half built by the hostd before", TRUE, { .stage = USHER_PARENT_HALF }, USHER_PARENT_DO_DISCARD, 0, USHER_PARENT_BUILDING, "being made",
    FALSE },
  /* what goes wrong */
  { "never ready", TRUE, { BOOTING (240000) }, USHER_PARENT_DO_GIVE_UP, 0, USHER_PARENT_BUILDING, "booting, 240 s", FALSE },
  { "failed just now", TRUE, { FAILED (1, NOW + 9) }, USHER_PARENT_DO_NOTHING, NOW + 9, USHER_PARENT_FAILED, "why", FALSE },
  { "time to try again", TRUE, { FAILED (1, NOW) }, USHER_PARENT_DO_BEGIN, 0, USHER_PARENT_FAILED, "why", FALSE },
  { "the second try boots", TRUE, { FAILED (1, NOW), BOOTING (1), .ask_at = NOW + 5 }, USHER_PARENT_DO_NOTHING, NOW + 5,
    USHER_PARENT_BUILDING, "booting", FALSE },
  { "what is left of a failure goes at once", TRUE, { FAILED (1, NOW + 9), .stage = USHER_PARENT_HALF }, USHER_PARENT_DO_DISCARD, 0,
    USHER_PARENT_BUILDING, "being made", FALSE },
  { "again and again", TRUE, { FAILED (3, NOW + 9), .lasting = 3 }, USHER_PARENT_DO_NOTHING, NOW + 9, USHER_PARENT_FAILED, "why", TRUE },
  { "and at last it is there", TRUE, { FAILED (3, NOW + 9), .lasting = 3, LOADED }, USHER_PARENT_DO_NOTHING, 0, USHER_PARENT_READY, "",
    FALSE },
  { "can't be forked", TRUE, { FAILED (1, NOW), .unable = TRUE }, USHER_PARENT_DO_NOTHING, 0, USHER_PARENT_UNABLE, "why", TRUE },
  { "reading it failed: it waits", TRUE, { FAILED (1, NOW + 9), .stage = USHER_PARENT_SAVED }, USHER_PARENT_DO_NOTHING, NOW + 9,
    USHER_PARENT_FAILED, "why", FALSE },
  { "forks of it fail", TRUE, { FAILED (1, NOW + 9), LOADED, .broken = TRUE }, USHER_PARENT_DO_RETIRE, 0, USHER_PARENT_FAILED, "why", FALSE },
  /* nobody wants it */
  { "unwanted: nothing there", FALSE, { 0 }, USHER_PARENT_DO_NOTHING, 0, USHER_PARENT_BUILDING, "being made", FALSE },
  { "unwanted: it boots", FALSE, { BOOTING (9) }, USHER_PARENT_DO_DISCARD, 0, USHER_PARENT_BUILDING, "booting", FALSE },
  { "unwanted: frozen", FALSE, { LOADED }, USHER_PARENT_DO_RETIRE, 0, USHER_PARENT_READY, "", FALSE },
  { "unwanted: on disk", FALSE, { .stage = USHER_PARENT_SAVED }, USHER_PARENT_DO_RETIRE, 0, USHER_PARENT_BUILDING, "being read from disk",
    FALSE },
  { "unwanted: it failed", FALSE, { FAILED (2, NOW + 9) }, USHER_PARENT_DO_NOTHING, 0, USHER_PARENT_FAILED, "why", FALSE },
};

static void
every_row (void **state)
{
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      UsherParentPlan plan = usher_parent_plan (rows[i].wanted, &rows[i].tried, NOW);
      UsherParentState seen = usher_parent_seen (&rows[i].tried);
      g_autofree char *reason = usher_parent_dup_reason (&rows[i].tried, NOW);
      if (plan.action != rows[i].action || plan.again_ms != rows[i].again_ms || seen != rows[i].seen || !g_str_equal (reason, rows[i].reason)
          || usher_parent_is_hopeless (&rows[i].tried) != rows[i].hopeless)
        fail_msg ("%s: does %s (again %" G_GINT64_FORMAT "), seen %s «%s»%s", rows[i].what, usher_parent_action_name (plan.action),
                  plan.again_ms, usher_parent_state_name (seen), reason, usher_parent_is_hopeless (&rows[i].tried) ? ", hopeless" : "");
    }
}

/* Which failures end the waiting: of those that pass, and where a linked clone would fare no better, none. */
static void
failures_count (void **state)
{
  static const struct {
    UsherError code;
    guint until_hopeless; /* failures in a row; 0: never */
    gboolean unable;
  } cases[] = {
    { USHER_ERROR_REFUSED, 1, TRUE },       { USHER_ERROR_INVALID, 1, FALSE },     { USHER_ERROR_INTERNAL, 3, FALSE },
    { USHER_ERROR_CONFLICT, 3, FALSE },     { USHER_ERROR_EXHAUSTED, 3, FALSE },   { USHER_ERROR_UNAVAILABLE, 0, FALSE },
    { USHER_ERROR_MISSING, 0, FALSE },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      UsherParentTried tried = { 0 };
      g_autoptr (GError) failure = g_error_new_literal (USHER_ERROR, cases[i].code, "why");
      for (guint n = 1; n <= 5; n++)
        {
          usher_parent_note_failure (&tried, failure, NOW);
          assert_int_equal (tried.failures, n);
          assert_int_equal (tried.retry_at, NOW + usher_parent_backoff_ms (n));
          assert_int_equal (usher_parent_is_hopeless (&tried), cases[i].until_hopeless > 0 && n >= cases[i].until_hopeless);
        }
      assert_int_equal (tried.unable, cases[i].unable);
    }
}

static void
pauses_grow_to_five_minutes (void **state)
{
  assert_int_equal (usher_parent_backoff_ms (0), 0);
  assert_int_equal (usher_parent_backoff_ms (1), 1000);
  assert_int_equal (usher_parent_backoff_ms (4), 8000);
  assert_int_equal (usher_parent_backoff_ms (G_MAXUINT), 300000);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (every_row),
    cmocka_unit_test (failures_count),
    cmocka_unit_test (pauses_grow_to_five_minutes),
  };
  return cmocka_run_group_tests_name ("hostd/parent_plan", tests, NULL, NULL);
}
