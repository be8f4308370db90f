#include <string.h>

#include "policies/placement.h"
#include "tests/unit/policies/tests.h"

static const UsherPlacementWish wish = { "tiny/1", 2, 1024, FALSE };
static const UsherPlacementWish instant_wish = { "tiny/1", 2, 1024, TRUE };

/* A host that takes the wish. */
static UsherPlacementHost
good_host (const char *name)
{
  return (UsherPlacementHost){ .id = name,
                               .name = name,
                               .active = TRUE,
                               .silent_s = 1,
                               .has_template = TRUE,
                               .cpus = 4,
                               .memory_mib = 16000,
                               .memory_free_mib = 8000,
                               .disk_free_mib = 50000 };
}

static void
each_filter_refuses_and_says_why (void **state)
{
  struct {
    const char *rule, *figure;
    UsherPlacementHost host;
  } cases[9];
  (void) state;
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    cases[i].host = good_host ("kvm1");
  cases[0].rule = "joined", cases[0].figure = "kvm1", cases[0].host.silent_s = -1;
  cases[1].rule = "silent", cases[1].figure = "30 s", cases[1].host.silent_s = 31;
  cases[2].rule = "mode", cases[2].figure = "drains", cases[2].host.active = FALSE;
  cases[3].rule = "template", cases[3].figure = "tiny/1", cases[3].host.has_template = FALSE;
  cases[4].rule = "cpus", cases[4].figure = "1 CPUs", cases[4].host.cpus = 1;
  cases[5].rule = "memory", cases[5].figure = "1024 MiB", cases[5].host.memory_free_mib = 1800;
  cases[6].rule = "disk", cases[6].figure = "100 MiB", cases[6].host.disk_free_mib = 100;
  cases[7] = cases[3], cases[7].rule = "fetch", cases[7].figure = "on its way to host kvm1, 40 %";
  cases[7].host.fetching = TRUE, cases[7].host.fetched = 40;
  cases[8] = cases[7], cases[8].rule = "template", cases[8].figure = "40 %: the disk is full", cases[8].host.fetch_problem = "the disk is full";
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GPtrArray) reasons = usher_reasons_new ();
      assert_int_equal (usher_placement_choose (&wish, &cases[i].host, 1, reasons), -1);
      assert_int_equal (reasons->len, 1);
      const UsherReason *reason = reasons->pdata[0];
      assert_string_equal (reason->rule, cases[i].rule);
      assert_non_null (strstr (reason->message, cases[i].figure));
      assert_non_null (strstr (reason->message, "kvm1"));
    }
}

static void
at_the_edge_it_is_taken (void **state)
{
  UsherPlacementHost host = good_host ("kvm1");
  g_autoptr (GPtrArray) reasons = usher_reasons_new ();
  (void) state;
  host.silent_s = USHER_PLACEMENT_SILENT_S;
  host.cpus = 2;
  host.memory_free_mib = 1024 + 800; /* 5 % of 16000 */
  host.disk_free_mib = 2048 + 1024;
  assert_int_equal (usher_placement_choose (&wish, &host, 1, reasons), 0);
  assert_int_equal (reasons->len, 0);
  host.pending = 1;
  host.pending_ram_mib = 1;
  assert_int_equal (usher_placement_choose (&wish, &host, 1, reasons), -1);
}

static void
the_best_is_chosen (void **state)
{
  UsherPlacementHost hosts[] = { good_host ("b"), good_host ("a"), good_host ("c") };
  g_autoptr (GPtrArray) reasons = usher_reasons_new ();
  (void) state;
  assert_int_equal (usher_placement_choose (&wish, hosts, 3, reasons), 1); /* equal: by name */
  hosts[2].memory_free_mib = 9000;
  assert_int_equal (usher_placement_choose (&wish, hosts, 3, reasons), 2); /* more memory left */
  hosts[2].of_pool = 5;
  assert_int_equal (usher_placement_choose (&wish, hosts, 3, reasons), 1); /* spread */
  assert_int_equal (reasons->len, 0);
}

static void
a_parent_takes_memory_and_saves_time (void **state)
{
  UsherPlacementHost hosts[] = { good_host ("a"), good_host ("b") };
  g_autoptr (GPtrArray) reasons = usher_reasons_new ();
  (void) state;
  hosts[1].parent = USHER_PLACEMENT_PARENT_READY;
  hosts[1].memory_free_mib = 5000;
  assert_int_equal (usher_placement_choose (&wish, hosts, 2, reasons), 0);
  assert_int_equal (usher_placement_choose (&instant_wish, hosts, 2, reasons), 1);
  hosts[0].parent = USHER_PLACEMENT_PARENT_BUILDING;
  hosts[1].parent = USHER_PLACEMENT_PARENT_UNABLE;
  assert_int_equal (usher_placement_choose (&instant_wish, hosts, 2, reasons), 0);

  UsherPlacementHost small = good_host ("c");
  small.memory_free_mib = 1024 + 800; /* room for the desktop alone */
  assert_int_equal (usher_placement_choose (&wish, &small, 1, reasons), 0);
  assert_int_equal (usher_placement_choose (&instant_wish, &small, 1, reasons), -1);
  small.parent = USHER_PLACEMENT_PARENT_UNABLE;
  assert_int_equal (usher_placement_choose (&instant_wish, &small, 1, reasons), 0);
  small.parent = USHER_PLACEMENT_PARENT_READY;
  assert_int_equal (usher_placement_choose (&instant_wish, &small, 1, reasons), 0);
  small.parents_mib = 1; /* another pool's */
  assert_int_equal (usher_placement_choose (&instant_wish, &small, 1, reasons), -1);
}

static void
no_host_has_a_reason_too (void **state)
{
  g_autoptr (GPtrArray) reasons = usher_reasons_new ();
  (void) state;
  assert_int_equal (usher_placement_choose (&wish, NULL, 0, reasons), -1);
  assert_string_equal (((UsherReason *) reasons->pdata[0])->rule, "hosts");
}

/* Property: whatever the hosts, the chosen one passes every filter alone, every other refused one has exactly one
 * reason, and the order in which hosts come makes no difference. */
static void
random_hosts (void **state)
{
  g_autoptr (GRand) rand = g_rand_new_with_seed (20261121);
  static const char *const names[] = { "h0", "h1", "h2", "h3", "h4", "h5" };
  (void) state;
  for (int round = 0; round < 5000; round++)
    {
      UsherPlacementHost hosts[6], turned[6];
      gsize n = (gsize) g_rand_int_range (rand, 1, 7), refused = 0;
      g_autoptr (GPtrArray) reasons = usher_reasons_new (), others = usher_reasons_new ();
      for (gsize i = 0; i < n; i++)
        {
          hosts[i] = good_host (names[i]);
          hosts[i].silent_s = g_rand_int_range (rand, -1, 40);
          hosts[i].active = g_rand_int_range (rand, 0, 5) > 0;
          hosts[i].cpus = g_rand_int_range (rand, 1, 5);
          hosts[i].memory_free_mib = g_rand_int_range (rand, 0, 16000);
          hosts[i].pending_ram_mib = g_rand_int_range (rand, 0, 4000);
          hosts[i].of_pool = g_rand_int_range (rand, 0, 10);
        }
      for (gsize i = 0; i < n; i++)
        turned[i] = hosts[n - 1 - i];
      gssize best = usher_placement_choose (&wish, hosts, n, reasons);
      gssize best_turned = usher_placement_choose (&wish, turned, n, others);
      assert_int_equal (best < 0, best_turned < 0);
      if (best >= 0)
        assert_string_equal (hosts[best].name, turned[best_turned].name);
      for (gsize i = 0; i < n; i++)
        {
          g_autoptr (GPtrArray) own = usher_reasons_new ();
          gssize alone = usher_placement_choose (&wish, &hosts[i], 1, own);
          refused += alone < 0;
          assert_int_equal (own->len, alone < 0);
          if ((gssize) i == best)
            assert_int_equal (alone, 0);
        }
      assert_int_equal (reasons->len, refused);
      assert_int_equal (best < 0, refused == n);
    }
}

int
run_placement_tests (void)
{
  const struct CMUnitTest placement[] = {
    cmocka_unit_test (each_filter_refuses_and_says_why),
    cmocka_unit_test (at_the_edge_it_is_taken),
    cmocka_unit_test (the_best_is_chosen),
    cmocka_unit_test (a_parent_takes_memory_and_saves_time),
    cmocka_unit_test (no_host_has_a_reason_too),
    cmocka_unit_test (random_hosts),
  };
  return cmocka_run_group_tests (placement, NULL, NULL);
}
