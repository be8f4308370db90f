/* Unit tests of policies/: by table and by property. */
#include "tests/unit/policies/tests.h"

int
main (void)
{
  cmocka_set_message_output (CM_OUTPUT_TAP);
  return run_state_tests () + run_placement_tests () + run_pool_plan_tests () + run_parents_tests () + run_leaving_tests ()
         + run_throttle_eta_tests ();
}
