# Instant clones: what of them is in the host daemon's library, and the program that libvirt starts in QEMU's place.
libusher_hostd_a_SOURCES += \
	hostd/clone/bases.c \
	hostd/clone/fdstore.c hostd/clone/fdstore.h \
	hostd/clone/fork.c hostd/clone/fork.h \
	hostd/clone/forkable.c hostd/clone/forkable.h \
	hostd/clone/freeze.c \
	hostd/clone/golden.c hostd/clone/golden.h hostd/clone/handover.h \
	hostd/clone/parents.c hostd/clone/parents.h hostd/clone/parents_private.h \
	hostd/clone/pending.c hostd/clone/pending.h \
	hostd/clone/ram.c hostd/clone/ram.h \
	hostd/clone/saved.c \
	hostd/storage/overlay.c hostd/storage/overlay.h \
	hostd/virt/agent.c hostd/virt/agent.h \
	hostd/virt/elastic.c hostd/virt/elastic.h \
	hostd/virt/hot.c hostd/virt/hot.h \
	hostd/virt/migrate.c hostd/virt/migrate.h \
	hostd/virt/monitor.c hostd/virt/monitor.h
libusher_hostd_a_CPPFLAGS = $(AM_CPPFLAGS) -DUSHER_EMULATOR_PATH='"$(pkglibexecdir)/usher-emulator"'
libusher_hostd_a_CFLAGS += $(SYSTEMD_CFLAGS)
HOSTD_LIBS += $(SYSTEMD_LIBS)

pkglibexec_PROGRAMS = usher-emulator
usher_emulator_SOURCES = hostd/clone/emulator.c hostd/clone/emulator.h hostd/clone/emulator_main.c hostd/clone/handover.h
usher_emulator_CFLAGS = $(AM_CFLAGS)

UNIT_TESTS += tests/unit/hostd/clone-test
tests_unit_hostd_clone_test_SOURCES = tests/unit/hostd/clone-test.c hostd/clone/emulator.c
tests_unit_hostd_clone_test_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_hostd_clone_test_LDADD = $(HOSTD_LIBS) $(CMOCKA_LIBS)

# What the integration tests tell to fork desktops without the rest of the daemon.
check_PROGRAMS += tests/integration/hostd/clone-driver
tests_integration_hostd_clone_driver_SOURCES = tests/integration/hostd/clone_driver.c
tests_integration_hostd_clone_driver_CFLAGS = $(AM_CFLAGS)
tests_integration_hostd_clone_driver_LDADD = $(HOSTD_LIBS)
