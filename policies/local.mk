# policies: the decisions, as pure functions.
noinst_LIBRARIES += libusher-policies.a
libusher_policies_a_SOURCES = \
	policies/desktop_state.c policies/desktop_state.h \
	policies/eta.c policies/eta.h \
	policies/leaving.c policies/leaving.h \
	policies/parents.c policies/parents.h \
	policies/placement.c policies/placement.h \
	policies/pool_plan.c policies/pool_plan.h \
	policies/reason.c policies/reason.h \
	policies/session_state.c policies/session_state.h \
	policies/state_table.c policies/state_table.h \
	policies/throttle.c policies/throttle.h
libusher_policies_a_CFLAGS = $(AM_CFLAGS)

UNIT_TESTS += tests/unit/policies/policies-test
tests_unit_policies_policies_test_SOURCES = \
	tests/unit/policies/leaving.c tests/unit/policies/main.c tests/unit/policies/tests.h \
	tests/unit/policies/parents.c tests/unit/policies/placement.c tests/unit/policies/pool_plan.c \
	tests/unit/policies/states.c tests/unit/policies/throttle_eta.c
tests_unit_policies_policies_test_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_policies_policies_test_LDADD = libusher-policies.a $(BASE_LIBS) $(CMOCKA_LIBS)
