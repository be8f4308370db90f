/* The tests of policies/, by file. */
#pragma once
#include <glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

int run_state_tests (void);
int run_placement_tests (void);
int run_pool_plan_tests (void);
int run_parents_tests (void);
int run_leaving_tests (void);
int run_throttle_eta_tests (void);
