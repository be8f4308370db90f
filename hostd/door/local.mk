# hostd/door: usher-door, a process of its own so that hostd's restarts cut no session.
noinst_LIBRARIES += libusher-door.a
libusher_door_a_SOURCES = \
	hostd/door/console.c \
	hostd/door/door.c hostd/door/door.h
libusher_door_a_CFLAGS = $(AM_CFLAGS)

sbin_PROGRAMS += usher-door
usher_door_SOURCES = hostd/door/main.c hostd/settings.c hostd/settings.h
usher_door_LDADD = libusher-door.a $(RELAY_LIBS) $(BASE_LIBS)
usher_door_CFLAGS = $(AM_CFLAGS)

UNIT_TESTS += tests/unit/door-test
tests_unit_door_test_SOURCES = tests/unit/door/door-test.c
tests_unit_door_test_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_door_test_LDADD = libusher-door.a $(RELAY_LIBS) $(BASE_LIBS) $(CMOCKA_LIBS)
