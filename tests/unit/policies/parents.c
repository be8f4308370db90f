#include "policies/parents.h"

#include "tests/unit/policies/tests.h"

static void
kept_by_worth (void **state)
{
  UsherParentCandidate all[] = {
    { "debian", 1, 2, 2048, 1, FALSE }, { "tiny", 1, 1, 256, 5, FALSE },  { "tiny", 2, 1, 256, 5, FALSE },
    { "tiny", 1, 1, 512, 0, TRUE },     { "huge", 1, 8, 9000, 9, FALSE }, { "alpha", 1, 1, 256, 1, FALSE },
  };
  (void) state;
  assert_int_equal (usher_parents_choose (0, all, G_N_ELEMENTS (all)), 0);
  assert_int_equal (usher_parents_choose (3000, all, G_N_ELEMENTS (all)), 4); /* half of it: 1500 */
  assert_int_equal (all[0].ram_mib, 512);                                     /* what is forked from just now */
  assert_int_equal (all[1].template_version, 2);                              /* the newer one */
  assert_int_equal (all[2].template_version, 1);
  assert_string_equal (all[3].template_name, "alpha"); /* what does not fit keeps nothing else out */
  assert_int_equal (usher_parents_choose (100000, all, G_N_ELEMENTS (all)), 6);
  assert_int_equal (usher_parents_choose (100000, NULL, 0), 0);
}

/* Property: never more than the share, and the same choice whatever the order they came in. */
static void
chosen_alike_in_any_order (void **state)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (3);
  (void) state;
  for (int round = 0; round < 2000; round++)
    {
      UsherParentCandidate one[6], other[6];
      gsize n = (gsize) g_rand_int_range (rand, 0, 7), kept;
      gint64 memory = g_rand_int_range (rand, 0, 8000), sum = 0;
      for (gsize i = 0; i < n; i++)
        one[i] = (UsherParentCandidate){ i % 2 == 0 ? "a" : "b", (gint64) i, 1, g_rand_int_range (rand, 64, 2000),
                                         g_rand_int_range (rand, 0, 3), g_rand_boolean (rand) };
      for (gsize i = 0; i < n; i++)
        other[i] = one[n - 1 - i];
      kept = usher_parents_choose (memory, one, n);
      assert_int_equal (usher_parents_choose (memory, other, n), kept);
      for (gsize i = 0; i < kept; i++)
        {
          sum += one[i].ram_mib;
          assert_int_equal (one[i].template_version, other[i].template_version);
        }
      assert_true (sum <= memory / USHER_PARENTS_SHARE);
    }
}

int
run_parents_tests (void)
{
  const struct CMUnitTest parents[] = {
    cmocka_unit_test (kept_by_worth),
    cmocka_unit_test (chosen_alike_in_any_order),
  };
  return cmocka_run_group_tests (parents, NULL, NULL);
}
