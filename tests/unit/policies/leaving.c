#include "policies/leaving.h"

#include "tests/unit/policies/tests.h"

#define DEDICATED USHER_ASSIGNMENT_DEDICATED
#define FLOATING USHER_ASSIGNMENT_FLOATING
#define FRESH USHER_ASSIGNMENT_FRESH_SYSTEM

static void
leaving_by_table (void **state)
{
  static const struct {
    UsherLeaving leaving;
    UsherLeavingAct act;
    gint64 again_s;
  } cases[] = {
    /* signed out: at once, whatever is open */
    { { FLOATING, TRUE, TRUE, TRUE, 0, 300 }, USHER_LEAVING_WIPE, 0 },
    { { FLOATING, TRUE, FALSE, FALSE, 0, 300 }, USHER_LEAVING_WIPE, 0 },
    { { FRESH, TRUE, TRUE, TRUE, 0, 300 }, USHER_LEAVING_REFRESH, 0 },
    { { FRESH, TRUE, FALSE, FALSE, 9999, 300 }, USHER_LEAVING_KEEP, 0 }, /* it is fresh */
    { { DEDICATED, TRUE, TRUE, TRUE, 9999, 0 }, USHER_LEAVING_KEEP, 0 },
    /* the sign-in ran out: what is in use goes on, and then lingers */
    { { FLOATING, FALSE, TRUE, TRUE, 9999, 300 }, USHER_LEAVING_KEEP, 0 },
    { { FLOATING, FALSE, TRUE, FALSE, 299, 300 }, USHER_LEAVING_KEEP, 1 },
    { { FLOATING, FALSE, TRUE, FALSE, 300, 300 }, USHER_LEAVING_WIPE, 0 },
    { { FLOATING, FALSE, FALSE, FALSE, 0, 0 }, USHER_LEAVING_WIPE, 0 },
    { { FRESH, FALSE, TRUE, FALSE, 10, 300 }, USHER_LEAVING_KEEP, 290 },
    { { FRESH, FALSE, TRUE, FALSE, 301, 300 }, USHER_LEAVING_REFRESH, 0 },
    { { FRESH, FALSE, FALSE, FALSE, 301, 300 }, USHER_LEAVING_KEEP, 0 },
    { { DEDICATED, FALSE, TRUE, FALSE, 9999, 0 }, USHER_LEAVING_KEEP, 0 },
  };
  (void) state;
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      UsherLeavingPlan plan = usher_leaving_plan (&cases[i].leaving);
      assert_int_equal (plan.act, cases[i].act);
      assert_int_equal (plan.again_s, cases[i].again_s);
      assert_int_equal (plan.why != NULL, plan.act != USHER_LEAVING_KEEP);
    }
}

static void
assignments_have_names (void **state)
{
  UsherAssignment found = DEDICATED;
  (void) state;
  for (int i = DEDICATED; i <= FRESH; i++)
    {
      assert_true (usher_assignment_parse (usher_assignment_name (i), &found));
      assert_int_equal (found, i);
    }
  assert_false (usher_assignment_parse ("Floating", &found));
  assert_false (usher_assignment_parse (NULL, &found));
  assert_int_equal (found, FRESH);
}

int
run_leaving_tests (void)
{
  const struct CMUnitTest leaving[] = {
    cmocka_unit_test (leaving_by_table),
    cmocka_unit_test (assignments_have_names),
  };
  return cmocka_run_group_tests (leaving, NULL, NULL);
}
