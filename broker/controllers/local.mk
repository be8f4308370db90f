# broker/controllers: what keeps the records' promises.
noinst_LIBRARIES += libusher-controllers.a
libusher_controllers_a_SOURCES = \
	broker/controllers/controllers.c broker/controllers/controllers.h \
	broker/controllers/pass.c broker/controllers/pass.h
libusher_controllers_a_CFLAGS = $(AM_CFLAGS)
CONTROLLERS_LIBS = libusher-controllers.a $(STORE_LIBS)

check_PROGRAMS += tests/integration/store/store-test
tests_integration_store_store_test_SOURCES = \
	tests/integration/store/main.c tests/integration/store/rig.c tests/integration/store/rig.h \
	tests/integration/store/clones.c tests/integration/store/flows.c tests/integration/store/races.c tests/integration/store/records.c \
	tests/integration/store/versions.c
tests_integration_store_store_test_CFLAGS = $(AM_CFLAGS) $(PQ_CFLAGS) $(CMOCKA_CFLAGS)
tests_integration_store_store_test_LDADD = $(CONTROLLERS_LIBS) $(CMOCKA_LIBS)
