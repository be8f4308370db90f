/* Waiting calls: no change is lost between a look and the parking, and none waits beyond its time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "broker/api/waiters.h"
#include "common/error.h"

#define POOLS 1u
#define DESKTOPS 2u

/* All that waiters know of a call. */
struct _UsherCall {
  int references, woken;
};

UsherCall *
usher_call_ref (UsherCall *call)
{
  call->references++;
  return call;
}

void
usher_call_unref (UsherCall *call)
{
  call->references--;
}

static void
wake (UsherCall *call)
{
  call->woken++;
  usher_call_unref (call);
}

static gint64
in_ms (gint64 ms)
{
  return g_get_monotonic_time () + ms * 1000;
}

/* Runs the main loop until `call` was woken or `ms` passed; whether it was. */
static gboolean
woken_within (const UsherCall *call, gint64 ms)
{
  gint64 until = in_ms (ms);
  int before = call->woken;
  while (call->woken == before && g_get_monotonic_time () < until) {
    if (!g_main_context_iteration (NULL, FALSE))
      g_usleep (500);
  }
  return call->woken > before;
}

static void
a_change_of_its_topic_wakes (void **state)
{
  g_autoptr (UsherWaiters) waiters = usher_waiters_new (10, 5, 2, wake);
  UsherCall call = { 0 };
  assert_true (usher_waiters_park (waiters, &call, DESKTOPS, usher_waiters_now (waiters), in_ms (60000), FALSE, NULL));
  usher_waiters_notify (waiters, POOLS);
  assert_false (woken_within (&call, 50));
  usher_waiters_notify (waiters, DESKTOPS);
  assert_true (woken_within (&call, 5000));
  assert_int_equal (call.references, 0);
  assert_int_equal (usher_waiters_get_parked (waiters), 0);
}

static void
a_change_while_it_looked_is_not_lost (void **state)
{
  g_autoptr (UsherWaiters) waiters = usher_waiters_new (10, 5, 2, wake);
  UsherCall call = { 0 }, other = { 0 };
  guint64 seen = usher_waiters_now (waiters);
  usher_waiters_notify (waiters, DESKTOPS);
  assert_true (usher_waiters_park (waiters, &call, DESKTOPS, seen, in_ms (60000), FALSE, NULL));
  assert_true (usher_waiters_park (waiters, &other, POOLS, seen, in_ms (60000), FALSE, NULL));
  assert_true (woken_within (&call, 5000));
  assert_false (woken_within (&other, 50));
}

static void
a_burst_is_one_waking (void **state)
{
  g_autoptr (UsherWaiters) waiters = usher_waiters_new (10, 20, 2, wake);
  UsherCall call = { 0 };
  assert_true (usher_waiters_park (waiters, &call, DESKTOPS, usher_waiters_now (waiters), in_ms (60000), FALSE, NULL));
  for (int i = 0; i < 100; i++)
    usher_waiters_notify (waiters, DESKTOPS);
  assert_true (woken_within (&call, 5000));
  assert_false (woken_within (&call, 60));
  assert_int_equal (call.woken, 1);
}

static void
lanes_let_the_urgent_go_first (void **state)
{
  UsherCall calls[4] = { { 0 } };
  g_autoptr (UsherWaiters) waiters = usher_waiters_new (10, 5, 2, wake);
  for (int i = 0; i < 4; i++)
    assert_true (usher_waiters_park (waiters, &calls[i], DESKTOPS, 0, in_ms (60000), i == 3, NULL));
  usher_waiters_notify (waiters, DESKTOPS);
  assert_true (woken_within (&calls[3], 5000));
  assert_int_equal (calls[0].woken + calls[1].woken + calls[2].woken, 1);
  usher_waiters_looked (waiters);
  assert_int_equal (calls[0].woken + calls[1].woken + calls[2].woken, 2);
  usher_waiters_looked (waiters);
  usher_waiters_looked (waiters);
  assert_int_equal (calls[0].woken + calls[1].woken + calls[2].woken, 3);
}

static void
its_time_wakes (void **state)
{
  g_autoptr (UsherWaiters) waiters = usher_waiters_new (10, 5, 2, wake);
  UsherCall soon = { 0 }, past = { 0 };
  assert_true (usher_waiters_park (waiters, &soon, DESKTOPS, 0, in_ms (20), FALSE, NULL));
  assert_true (usher_waiters_park (waiters, &past, DESKTOPS, 0, in_ms (-1000), FALSE, NULL));
  assert_true (woken_within (&past, 5000));
  assert_true (soon.woken || woken_within (&soon, 5000));
}

static void
beyond_the_limit_is_busy (void **state)
{
  g_autoptr (UsherWaiters) waiters = usher_waiters_new (1, 5, 2, wake);
  UsherCall first = { 0 }, second = { 0 };
  g_autoptr (GError) error = NULL;
  assert_true (usher_waiters_park (waiters, &first, DESKTOPS, 0, in_ms (60000), FALSE, NULL));
  assert_false (usher_waiters_park (waiters, &second, DESKTOPS, 0, in_ms (60000), FALSE, &error));
  assert_int_equal (usher_error_code (error), USHER_ERROR_BUSY);
  assert_int_equal (second.references, 0);
}

static void
release_wakes_all_and_later_ones (void **state)
{
  g_autoptr (UsherWaiters) waiters = usher_waiters_new (10, 5, 2, wake);
  UsherCall call = { 0 }, late = { 0 };
  assert_true (usher_waiters_park (waiters, &call, DESKTOPS, 0, in_ms (60000), FALSE, NULL));
  usher_waiters_release (waiters);
  assert_int_equal (call.woken, 1);
  assert_true (usher_waiters_park (waiters, &late, DESKTOPS, 0, in_ms (60000), FALSE, NULL));
  assert_true (woken_within (&late, 5000));
}

static void
freeing_lets_go_of_the_parked (void **state)
{
  UsherWaiters *waiters = usher_waiters_new (10, 5, 2, wake);
  UsherCall call = { 0 };
  assert_true (usher_waiters_park (waiters, &call, DESKTOPS, 0, in_ms (60000), FALSE, NULL));
  usher_waiters_notify (waiters, DESKTOPS);
  usher_waiters_free (waiters);
  assert_int_equal (call.references, 0);
  assert_false (woken_within (&call, 30));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (a_change_of_its_topic_wakes),
    cmocka_unit_test (a_change_while_it_looked_is_not_lost),
    cmocka_unit_test (a_burst_is_one_waking),
    cmocka_unit_test (lanes_let_the_urgent_go_first),
    cmocka_unit_test (its_time_wakes),
    cmocka_unit_test (beyond_the_limit_is_busy),
    cmocka_unit_test (release_wakes_all_and_later_ones),
    cmocka_unit_test (freeing_lets_go_of_the_parked),
  };
  cmocka_set_message_output (CM_OUTPUT_TAP);
  return cmocka_run_group_tests (tests, NULL, NULL);
}
