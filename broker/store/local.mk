# broker/store: PostgreSQL; the only folder that knows libpq.
noinst_LIBRARIES += libusher-store.a
libusher_store_a_SOURCES = \
	broker/store/apply.c \
	broker/store/audit.c broker/store/audit.h broker/store/audit_add.h \
	broker/store/connect.c \
	broker/store/console_key.c broker/store/console_key.h \
	broker/store/delete.c \
	broker/store/desktop_move.c broker/store/desktop_move.h \
	broker/store/desktop_view.c broker/store/desktop_view.h \
	broker/store/eta_view.c broker/store/eta_view.h \
	broker/store/hosts.c broker/store/hosts.h \
	broker/store/kind.c broker/store/kind.h \
	broker/store/listener.c broker/store/listener.h \
	broker/store/migrate.c broker/store/migrate.h broker/store/migration_list.h \
	broker/store/people.c broker/store/people.h \
	broker/store/records.c broker/store/records.h \
	broker/store/refresh.c broker/store/refresh.h \
	broker/store/sessions.c broker/store/sessions.h \
	broker/store/sign_in.c broker/store/sign_in.h \
	broker/store/spec.c broker/store/spec.h \
	broker/store/sql.c broker/store/sql.h \
	broker/store/store.c broker/store/store.h \
	broker/store/sync.c broker/store/sync_parents.c broker/store/sync_parents.h \
	broker/store/uploads.c broker/store/uploads.h \
	broker/store/versions.c broker/store/versions.h broker/store/versions_wanted.c \
	broker/store/work.h broker/store/work_leave.c broker/store/work_place.c broker/store/work_pool.c broker/store/work_rest.c
nodist_libusher_store_a_SOURCES = broker/store/migration_list.c
libusher_store_a_CFLAGS = $(AM_CFLAGS) $(PQ_CFLAGS)
STORE_LIBS = libusher-store.a libusher-policies.a $(AUTH_LIBS) $(PQ_LIBS) $(BASE_LIBS)

MIGRATIONS = \
	$(srcdir)/broker/store/migrations/0001_records.sql \
	$(srcdir)/broker/store/migrations/0002_audit.sql \
	$(srcdir)/broker/store/migrations/0003_views.sql \
	$(srcdir)/broker/store/migrations/0004_quiet.sql \
	$(srcdir)/broker/store/migrations/0005_obstacles.sql \
	$(srcdir)/broker/store/migrations/0006_horizon.sql \
	$(srcdir)/broker/store/migrations/0007_clones.sql \
	$(srcdir)/broker/store/migrations/0008_versions.sql \
	$(srcdir)/broker/store/migrations/0009_leaving.sql \
	$(srcdir)/broker/store/migrations/0010_notices.sql
EXTRA_DIST += $(MIGRATIONS) broker/store/embed.awk broker/store/roles.sql
CLEANFILES += broker/store/migration_list.c
broker/store/migration_list.c: $(MIGRATIONS) $(srcdir)/broker/store/embed.awk
	$(AM_V_GEN)$(MKDIR_P) broker/store && LC_ALL=C awk -f $(srcdir)/broker/store/embed.awk $(MIGRATIONS) > $@.tmp && mv $@.tmp $@

UNIT_TESTS += tests/unit/broker/store/store-test
tests_unit_broker_store_store_test_SOURCES = tests/unit/broker/store/store-test.c
tests_unit_broker_store_store_test_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_broker_store_store_test_LDADD = $(STORE_LIBS) $(CMOCKA_LIBS)

FUZZ_TARGETS += tests/fuzz/spec
tests_fuzz_spec_SOURCES = tests/fuzz/spec.c $(FUZZ_MAIN)
tests_fuzz_spec_CFLAGS = $(AM_CFLAGS) $(FUZZ_CFLAGS)
tests_fuzz_spec_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_CFLAGS)
tests_fuzz_spec_LDADD = $(STORE_LIBS)
