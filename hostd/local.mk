# hostd: one KVM host. libvirt's headers appear in hostd/virt only.
noinst_LIBRARIES += libusher-hostd.a
libusher_hostd_a_SOURCES = \
	hostd/daemon.c hostd/daemon.h \
	hostd/desktops/actions.c hostd/desktops/actions.h \
	hostd/desktops/engine.c hostd/desktops/engine.h \
	hostd/desktops/fork_tries.c hostd/desktops/fork_tries.h \
	hostd/desktops/keeper.c hostd/desktops/keeper.h \
	hostd/desktops/parent_job.c hostd/desktops/parent_job.h \
	hostd/desktops/parent_plan.c hostd/desktops/parent_plan.h \
	hostd/desktops/plan.c hostd/desktops/plan.h \
	hostd/desktops/tried.c hostd/desktops/tried.h \
	hostd/host_info.c hostd/host_info.h \
	hostd/identity.c hostd/identity.h \
	hostd/images/bucket.c hostd/images/bucket.h \
	hostd/images/evict.c hostd/images/evict.h \
	hostd/images/fetch.c hostd/images/fetch.h \
	hostd/images/images.c hostd/images/images.h \
	hostd/images/incoming.c hostd/images/incoming.h \
	hostd/images/standing.c hostd/images/standing.h \
	hostd/images/sweep.c hostd/images/sweep.h \
	hostd/images/wanted.c hostd/images/wanted.h \
	hostd/join/command.c hostd/join/command.h \
	hostd/join/join.c hostd/join/join.h \
	hostd/settings.c hostd/settings.h \
	hostd/storage/command.c hostd/storage/command.h \
	hostd/storage/console_file.c hostd/storage/console_file.h \
	hostd/storage/desktop_dir.c hostd/storage/desktop_dir.h \
	hostd/storage/record.c hostd/storage/record.h \
	hostd/storage/template_store.c hostd/storage/template_store.h \
	hostd/sync/client.c hostd/sync/client.h \
	hostd/sync/link.c hostd/sync/link.h \
	hostd/virt/connection.c hostd/virt/connection.h \
	hostd/virt/domain.c hostd/virt/virt.h \
	hostd/virt/domain_xml.c hostd/virt/domain_xml.h
libusher_hostd_a_CFLAGS = $(AM_CFLAGS) $(LIBVIRT_CFLAGS) $(SOUP_CFLAGS)
HOSTD_LIBS = libusher-hostd.a libusher-templates.a $(BASE_LIBS) $(LIBVIRT_LIBS) $(SOUP_LIBS)

sbin_PROGRAMS += usher-hostd
usher_hostd_SOURCES = hostd/main.c
usher_hostd_CFLAGS = $(AM_CFLAGS)
usher_hostd_LDADD = $(HOSTD_LIBS)

UNIT_TESTS += tests/unit/hostd/plan-test tests/unit/hostd/parent_plan-test tests/unit/hostd/domain_xml-test tests/unit/hostd/storage-test
tests_unit_hostd_plan_test_SOURCES = tests/unit/hostd/plan-test.c
tests_unit_hostd_plan_test_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_hostd_plan_test_LDADD = $(HOSTD_LIBS) $(CMOCKA_LIBS)
tests_unit_hostd_parent_plan_test_SOURCES = tests/unit/hostd/parent_plan-test.c
tests_unit_hostd_parent_plan_test_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_hostd_parent_plan_test_LDADD = $(HOSTD_LIBS) $(CMOCKA_LIBS)
tests_unit_hostd_domain_xml_test_SOURCES = tests/unit/hostd/domain_xml-test.c
tests_unit_hostd_domain_xml_test_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_hostd_domain_xml_test_LDADD = $(HOSTD_LIBS) $(CMOCKA_LIBS)
tests_unit_hostd_storage_test_SOURCES = tests/unit/hostd/storage-test.c
tests_unit_hostd_storage_test_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_hostd_storage_test_LDADD = $(HOSTD_LIBS) $(CMOCKA_LIBS)

UNIT_TESTS += tests/unit/hostd/template_store-test
tests_unit_hostd_template_store_test_SOURCES = tests/unit/hostd/template_store-test.c
tests_unit_hostd_template_store_test_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_hostd_template_store_test_LDADD = $(HOSTD_LIBS) $(CMOCKA_LIBS)

UNIT_TESTS += tests/unit/hostd/images-test
tests_unit_hostd_images_test_SOURCES = tests/unit/hostd/images-test.c
tests_unit_hostd_images_test_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_hostd_images_test_LDADD = $(HOSTD_LIBS) $(CMOCKA_LIBS)
