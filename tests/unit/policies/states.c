#include "policies/desktop_state.h"
#include "policies/session_state.h"
#include "tests/unit/policies/tests.h"

static void
names_come_back (void **state)
{
  (void) state;
  for (int i = 0; i < USHER_DESKTOP_STATES; i++)
    {
      UsherDesktopState found = USHER_DESKTOP_STATES;
      assert_true (usher_desktop_state_parse (usher_desktop_state_name (i), &found));
      assert_int_equal (found, i);
    }
  for (int i = 0; i < USHER_SESSION_STATES; i++)
    {
      UsherSessionState found = USHER_SESSION_STATES;
      assert_true (usher_session_state_parse (usher_session_state_name (i), &found));
      assert_int_equal (found, i);
    }
  UsherDesktopState untouched = USHER_DESKTOP_SPARE;
  assert_false (usher_desktop_state_parse ("Spare", &untouched));
  assert_false (usher_desktop_state_parse (NULL, &untouched));
  assert_int_equal (untouched, USHER_DESKTOP_SPARE);
}

/* Every live desktop can be given up, nothing leaves gone, draining leads only there, and no state stands in its own
 * row. */
static void
the_desktop_table_holds_its_promises (void **state)
{
  (void) state;
  for (UsherDesktopState from = 0; from < USHER_DESKTOP_STATES; from++)
    {
      assert_false (usher_desktop_state_may_move (from, from));
      assert_false (usher_desktop_state_may_move (USHER_DESKTOP_GONE, from));
      assert_int_equal (usher_desktop_state_may_move (from, USHER_DESKTOP_DRAINING),
                        usher_desktop_state_is_live (from));
      assert_int_equal (usher_desktop_state_may_move (USHER_DESKTOP_DRAINING, from), from == USHER_DESKTOP_GONE);
      assert_false (usher_desktop_state_may_move (from, USHER_DESKTOP_PLANNED));
    }
  assert_true (usher_desktop_state_may_move (USHER_DESKTOP_SPARE, USHER_DESKTOP_ASSIGNED));
  assert_false (
      usher_desktop_state_may_move (USHER_DESKTOP_ASSIGNED, USHER_DESKTOP_SPARE)); /* it holds somebody's work */
}

/* Whatever a host says: the desktop stays, or moves along the table; only "absent" of a draining one ends it; a desktop
 * with an owner never becomes a spare. */
static void
a_hosts_word_moves_along_the_table (void **state)
{
  (void) state;
  for (UsherDesktopState from = 0; from < USHER_DESKTOP_STATES; from++)
    for (int owned = 0; owned <= 1; owned++)
      for (int seen = USHER_SEEN_ABSENT; seen <= USHER_SEEN_DELETING; seen++)
        {
          UsherDesktopState to = usher_desktop_state_after (from, owned, seen);
          if (to != from)
            assert_true (usher_desktop_state_may_move (from, to));
          if (to == USHER_DESKTOP_GONE && from != USHER_DESKTOP_GONE)
            assert_true (from == USHER_DESKTOP_DRAINING && seen == USHER_SEEN_ABSENT);
          if (to != from && (to == USHER_DESKTOP_SPARE || to == USHER_DESKTOP_ASSIGNED))
            {
              assert_int_equal (seen, USHER_SEEN_READY);
              assert_int_equal (to == USHER_DESKTOP_ASSIGNED, owned);
            }
          assert_int_not_equal (to == USHER_DESKTOP_DRAINING && from != to, TRUE); /* only the broker decides that */
        }
}

static void
a_host_brings_desktops_up_and_back (void **state)
{
  (void) state;
  assert_int_equal (usher_desktop_state_after (USHER_DESKTOP_PROVISIONING, FALSE, USHER_SEEN_READY),
                    USHER_DESKTOP_SPARE);
  assert_int_equal (usher_desktop_state_after (USHER_DESKTOP_PROVISIONING, TRUE, USHER_SEEN_READY),
                    USHER_DESKTOP_ASSIGNED);
  assert_int_equal (usher_desktop_state_after (USHER_DESKTOP_PROVISIONING, FALSE, USHER_SEEN_FAILED),
                    USHER_DESKTOP_FAILED);
  assert_int_equal (usher_desktop_state_after (USHER_DESKTOP_FAILED, TRUE, USHER_SEEN_READY), USHER_DESKTOP_ASSIGNED);
  assert_int_equal (usher_desktop_state_after (USHER_DESKTOP_STOPPED, TRUE, USHER_SEEN_READY), USHER_DESKTOP_ASSIGNED);
  assert_int_equal (usher_desktop_state_after (USHER_DESKTOP_ASSIGNED, TRUE, USHER_SEEN_STARTING),
                    USHER_DESKTOP_ASSIGNED);
  assert_int_equal (usher_desktop_state_after (USHER_DESKTOP_PLANNED, FALSE, USHER_SEEN_READY), USHER_DESKTOP_PLANNED);
}

static void
the_session_table_holds_its_promises (void **state)
{
  (void) state;
  for (UsherSessionState from = 0; from < USHER_SESSION_STATES; from++)
    {
      assert_false (usher_session_state_may_move (from, from));
      assert_int_equal (usher_session_state_may_move (from, USHER_SESSION_ENDED), from != USHER_SESSION_ENDED);
      assert_false (usher_session_state_may_move (from, USHER_SESSION_OFFERED));
      assert_false (usher_session_state_may_move (USHER_SESSION_ENDED, from));
    }
  assert_false (usher_session_state_may_move (USHER_SESSION_OFFERED, USHER_SESSION_ACTIVE)); /* not without redeeming */
  assert_true (usher_session_state_may_move (USHER_SESSION_DISCONNECTED, USHER_SESSION_ACTIVE));
}

int
run_state_tests (void)
{
  const struct CMUnitTest states[] = {
    cmocka_unit_test (names_come_back),
    cmocka_unit_test (the_desktop_table_holds_its_promises),
    cmocka_unit_test (a_hosts_word_moves_along_the_table),
    cmocka_unit_test (a_host_brings_desktops_up_and_back),
    cmocka_unit_test (the_session_table_holds_its_promises),
  };
  return cmocka_run_group_tests (states, NULL, NULL);
}
