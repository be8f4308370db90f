#include "policies/pool_plan.h"
#include "tests/unit/policies/tests.h"

static void
plans_by_table (void **state)
{
  static const struct {
    UsherPoolCounts counts;
    gint64 create, retire, retire_failed, again_s;
    const char *rule; /* NULL: the promise is kept */
    gint64 retire_stale;
  } cases[] = {
    { { .spares = 2, .maximum = 5 }, 2, 0, 0, 0, "spares", 0 },
    { { .spares = 2, .maximum = 5, .ready = 2 }, 0, 0, 0, 0, NULL, 0 },
    { { .spares = 2, .maximum = 5, .ready = 1, .making = 1 }, 0, 0, 0, 0, "spares", 0 },
    { { .spares = 2, .maximum = 5, .ready = 4 }, 0, 2, 0, 0, NULL, 0 },
    { { .spares = 2, .maximum = 5, .owned = 4 }, 1, 0, 0, 0, "maximum", 0 },
    { { .spares = 2, .maximum = 5, .owned = 5 }, 0, 0, 0, 0, "maximum", 0 },
    { { .spares = 2, .maximum = 5, .owned = 5, .ready = 1 }, 0, 1, 0, 0, "maximum", 0 },
    { { .spares = 0, .maximum = 5 }, 0, 0, 0, 0, NULL, 0 },
    { { .spares = 2, .maximum = 5, .failed = 1, .failures = 1, .failed_ago_s = 1 }, 0, 0, 0, 4, "back-off", 0 },
    { { .spares = 2, .maximum = 5, .failed = 1, .failures = 1, .failed_ago_s = 5 }, 1, 0, 1, 0, "spares", 0 },
    { { .spares = 0, .maximum = 5, .failed = 1, .failures = 1, .failed_ago_s = 1 }, 0, 0, 0, 4, "back-off", 0 },
    { { .spares = 2, .maximum = 5, .failures = 1, .failed_ago_s = 5 }, 1, 0, 0, 0, "spares", 0 },
    { { .spares = 2, .maximum = 5, .making = 1, .failures = 3, .failed_ago_s = 500 }, 0, 0, 0, 0, "back-off", 0 },
    { { .spares = 2, .maximum = 5, .failures = 40, .failed_ago_s = 299 }, 0, 0, 0, 1, "back-off", 0 },
    { { .spares = 2, .maximum = 5, .ready = 1, .making = 1, .owned = 2, .deleting = TRUE }, 0, 2, 0, 0, "deleting", 0 },
    /* a version was published */
    { { .spares = 2, .maximum = 5, .stale_ready = 2 }, 1, 0, 0, 0, "outdated", 0 },
    { { .spares = 2, .maximum = 5, .stale_ready = 2, .making = 1 }, 0, 0, 0, 0, "outdated", 0 },
    { { .spares = 2, .maximum = 5, .stale_ready = 2, .ready = 1 }, 1, 0, 0, 0, "outdated", 1 },
    { { .spares = 2, .maximum = 5, .stale_ready = 1, .ready = 2 }, 0, 0, 0, 0, NULL, 1 },
    { { .spares = 9, .maximum = 50, .stale_ready = 9 }, 2, 0, 0, 0, "outdated", 0 },
    { { .spares = 2, .maximum = 5, .stale_making = 2 }, 2, 0, 0, 0, "spares", 2 },
    { { .spares = 2, .maximum = 2, .stale_ready = 2 }, 1, 0, 0, 0, "outdated", 1 },
    { { .spares = 2, .maximum = 2, .stale_ready = 1, .making = 1 }, 0, 0, 0, 0, "outdated", 0 },
    { { .spares = 0, .maximum = 2, .stale_ready = 1 }, 0, 0, 0, 0, NULL, 1 },
  };
  (void) state;
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_auto (UsherPoolPlan) plan = usher_pool_plan (&cases[i].counts);
      assert_int_equal (plan.create, cases[i].create);
      assert_int_equal (plan.retire, cases[i].retire);
      assert_int_equal (plan.retire_failed, cases[i].retire_failed);
      assert_int_equal (plan.retire_stale, cases[i].retire_stale);
      assert_int_equal (plan.again_s, cases[i].again_s);
      if (cases[i].rule == NULL)
        assert_null (plan.reason);
      else
        assert_string_equal (plan.reason->rule, cases[i].rule);
    }
}

/* Property: never over the maximum by its own doing, never more spares than wanted, never touches what is somebody's,
 * and a plan carried out leads to a plan that does nothing. */
static void
random_pools (void **state)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (7);
  (void) state;
  for (int round = 0; round < 20000; round++)
    {
      UsherPoolCounts counts = { .spares = g_rand_int_range (rand, 0, 10),
                                 .maximum = g_rand_int_range (rand, 1, 20),
                                 .deleting = g_rand_int_range (rand, 0, 10) == 0,
                                 .ready = g_rand_int_range (rand, 0, 10),
                                 .making = g_rand_int_range (rand, 0, 10),
                                 .owned = g_rand_int_range (rand, 0, 25),
                                 .failed = g_rand_int_range (rand, 0, 3),
                                 .failures = g_rand_int_range (rand, 0, 4),
                                 .failed_ago_s = g_rand_int_range (rand, 0, 60),
                                 .stale_ready = g_rand_boolean (rand) ? g_rand_int_range (rand, 0, 10) : 0,
                                 .stale_making = g_rand_boolean (rand) ? g_rand_int_range (rand, 0, 4) : 0 };
      g_auto (UsherPoolPlan) plan = usher_pool_plan (&counts);
      gint64 free = counts.ready + counts.making;
      assert_true (plan.create >= 0 && plan.retire >= 0 && plan.retire <= free && plan.retire_failed <= counts.failed);
      assert_true (plan.create == 0 || plan.retire == 0);
      assert_true (plan.create == 0 || free + plan.create <= counts.spares);
      gint64 stale = counts.stale_ready + counts.stale_making - plan.retire_stale;
      assert_true (plan.retire_stale >= counts.stale_making && stale >= 0);
      assert_true (plan.create == 0 || counts.owned + free + stale + plan.create <= counts.maximum);
      if (counts.deleting)
        assert_int_equal (plan.retire, free);

      UsherPoolCounts after = counts;
      gint64 from_making = MIN (plan.retire, counts.making);
      after.making += plan.create - from_making;
      after.ready -= plan.retire - from_making;
      after.failed -= plan.retire_failed;
      after.stale_ready = stale;
      after.stale_making = 0;
      g_auto (UsherPoolPlan) again = usher_pool_plan (&after);
      assert_int_equal (again.create + again.retire + again.retire_failed + again.retire_stale, 0);
    }
}

static void
back_off_grows_and_ends (void **state)
{
  (void) state;
  assert_int_equal (usher_pool_back_off (0, 0), 0);
  assert_int_equal (usher_pool_back_off (1, 0), 5);
  assert_int_equal (usher_pool_back_off (3, 0), 20);
  assert_int_equal (usher_pool_back_off (3, 21), 0);
  for (gint64 n = 1; n < 2000; n++)
    assert_in_range (usher_pool_back_off (n, 0), 5, 300);
}

int
run_pool_plan_tests (void)
{
  const struct CMUnitTest pool_plan[] = {
    cmocka_unit_test (plans_by_table),
    cmocka_unit_test (random_pools),
    cmocka_unit_test (back_off_grows_and_ends),
  };
  return cmocka_run_group_tests (pool_plan, NULL, NULL);
}
