#include "policies/eta.h"
#include "policies/throttle.h"
#include "tests/unit/policies/tests.h"

static void
waits_by_table (void **state)
{
  static const UsherThrottleRule rule = { .window_s = 900, .free = 3, .first_s = 2, .longest_s = 60, .pending_max = 5 };
  static const struct {
    UsherThrottleHistory history;
    guint wait_s;
  } cases[] = {
    { { 0, 0, 0 }, 0 },  { { 3, 0, 0 }, 0 },  { { 4, 0, 0 }, 2 },  { { 4, 2, 0 }, 0 },        { { 5, 0, 0 }, 4 },
    { { 5, 3, 0 }, 1 },  { { 8, 0, 0 }, 32 }, { { 9, 0, 0 }, 60 }, { { 4000000, 0, 0 }, 60 }, { { 4000000, 60, 0 }, 0 },
    { { 4, -5, 0 }, 2 }, { { 0, 0, 5 }, 1 },  { { 0, 0, 4 }, 0 },
  };
  (void) state;
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    assert_int_equal (usher_throttle_wait (&rule, &cases[i].history), cases[i].wait_s);
}

/* Property: more failures never wait less, more time never waits more, and one address may fail more than one account.
 */
static void
waits_are_monotonic (void **state)
{
  const UsherThrottleRule *const rules[] = { &usher_throttle_user, &usher_throttle_address };
  (void) state;
  for (gsize r = 0; r < 2; r++)
    for (guint failures = 0; failures < 200; failures++)
      for (gint64 ago = 0; ago < 400; ago += 13)
        {
          UsherThrottleHistory less = { failures, ago, 0 }, more = { failures + 1, ago, 0 },
                               later = { failures, ago + 1, 0 };
          guint wait = usher_throttle_wait (rules[r], &less);
          assert_true (usher_throttle_wait (rules[r], &more) >= wait);
          assert_true (usher_throttle_wait (rules[r], &later) <= wait);
          assert_true (wait <= rules[r]->longest_s);
        }
  assert_true (usher_throttle_address.free > usher_throttle_user.free);
}

static void
estimates_by_table (void **state)
{
  static const gint64 times[] = { 48, 52, 50, 500, 49 }, fast[] = { 1, 2, 3 };
  (void) state;
  assert_int_equal (usher_eta_estimate (NULL, 0, 0), USHER_ETA_UNKNOWN_S);
  assert_int_equal (usher_eta_estimate (times, 5, 0), 50); /* the median: one that took long does not count */
  assert_int_equal (usher_eta_estimate (times, 5, 27), 25);
  assert_int_equal (usher_eta_estimate (times, 5, 44), 6);
  assert_int_equal (usher_eta_estimate (times, 5, 400), 10); /* late: a fifth more */
  assert_int_equal (usher_eta_estimate (fast, 3, 0), 2);
  assert_int_equal (usher_eta_estimate (fast, 3, 9), 1);
}

static void
each_kind_of_clone_has_its_times (void **state)
{
  static const gint64 cold[] = { 40, 44, 42 }, fast[] = { 1, 1, 3 };
  static const struct {
    UsherEtaParent parent;
    gboolean known; /* the times above */
    gint64 parent_took_s, parent_elapsed_s, elapsed_s;
    guint eta_s;
  } cases[] = {
    { USHER_ETA_NO_PARENT, TRUE, 0, 0, 0, 45 },
    { USHER_ETA_NO_PARENT, TRUE, 0, 0, 40, 2 },
    { USHER_ETA_NO_PARENT, FALSE, 0, 0, 0, USHER_ETA_UNKNOWN_S },
    { USHER_ETA_PARENT_READY, TRUE, 50, 900, 0, 1 },
    { USHER_ETA_PARENT_READY, TRUE, 50, 900, 5, 1 },
    { USHER_ETA_PARENT_READY, FALSE, 0, 0, 0, USHER_ETA_UNKNOWN_INSTANT_S },
    { USHER_ETA_PARENT_BUILDING, TRUE, 30, 25, 900, 6 }, /* however long somebody waits: what is left of the parent */
    { USHER_ETA_PARENT_BUILDING, TRUE, 30, 60, 0, 7 },   /* it is late */
    { USHER_ETA_PARENT_BUILDING, FALSE, 0, 20, 0, 45 },
    { USHER_ETA_PARENT_TO_COME, TRUE, 0, 0, 0, 45 },
    { USHER_ETA_PARENT_TO_COME, TRUE, 20, 0, 9, 25 },
  };
  (void) state;
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      UsherEtaWish wish = { cold, cases[i].known ? 3 : 0,       fast, cases[i].known ? 3 : 0, cases[i].parent,
                            cases[i].parent_took_s, cases[i].parent_elapsed_s, cases[i].elapsed_s };
      assert_int_equal (usher_eta_of (&wish), cases[i].eta_s);
    }
}

int
run_throttle_eta_tests (void)
{
  const struct CMUnitTest throttle_eta[] = {
    cmocka_unit_test (waits_by_table),
    cmocka_unit_test (waits_are_monotonic),
    cmocka_unit_test (estimates_by_table),
    cmocka_unit_test (each_kind_of_clone_has_its_times),
  };
  return cmocka_run_group_tests (throttle_eta, NULL, NULL);
}
