/* The store against a real PostgreSQL: `store-test NAME` runs one test on the empty database that the environment names
 * (see rig.h), `store-test --list` tells the names. test_store.py starts both. */
#include "common/log.h"
#include "tests/integration/store/rig.h"

int
main (int argc, char **argv)
{
  const char *name = argc > 1 ? argv[1] : "--list";
  usher_log_init ("store-test", USHER_LOG_WARNING);
  if (!g_str_equal (name, "--list"))
    cmocka_set_test_filter (name);
  return run_record_tests (name) + run_flow_tests (name) + run_race_tests (name)
         + run_clone_tests (name) + run_version_tests (name);
}
