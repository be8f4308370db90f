# broker/auth: the LDAP directory; the only folder that knows ldap.h.
noinst_LIBRARIES += libusher-auth.a
libusher_auth_a_SOURCES = \
	broker/auth/account.c broker/auth/account.h \
	broker/auth/connection.c broker/auth/connection.h \
	broker/auth/directory.c broker/auth/directory.h broker/auth/directory_settings.h \
	broker/auth/filter.c broker/auth/filter.h \
	broker/auth/group_memory.c broker/auth/group_memory.h \
	broker/auth/groups.c broker/auth/groups.h \
	broker/auth/person.c broker/auth/person.h \
	broker/auth/setup.c broker/auth/setup.h \
	broker/auth/verdict.c broker/auth/verdict.h \
	broker/auth/watchdog.c broker/auth/watchdog.h
libusher_auth_a_CFLAGS = $(AM_CFLAGS) $(LDAP_CFLAGS)
AUTH_LIBS = libusher-auth.a $(BASE_LIBS) $(LDAP_LIBS)

check_PROGRAMS += tests/integration/auth/ask
tests_integration_auth_ask_SOURCES = tests/integration/auth/ask.c
tests_integration_auth_ask_CFLAGS = $(AM_CFLAGS)
tests_integration_auth_ask_LDADD = $(AUTH_LIBS)

UNIT_TESTS += tests/unit/auth-test
tests_unit_auth_test_SOURCES = tests/unit/auth/auth-test.c
tests_unit_auth_test_CFLAGS = $(AM_CFLAGS) $(LDAP_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_auth_test_LDADD = $(AUTH_LIBS) $(CMOCKA_LIBS)
