# templates: the manifest model (pure), and the build recipes and seal steps, which are scripts.
noinst_LIBRARIES += libusher-templates.a
libusher_templates_a_SOURCES = \
	templates/manifest.c templates/manifest.h
libusher_templates_a_CFLAGS = $(AM_CFLAGS)

UNIT_TESTS += tests/unit/templates/manifest-test
tests_unit_templates_manifest_test_SOURCES = tests/unit/templates/manifest-test.c
tests_unit_templates_manifest_test_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_templates_manifest_test_LDADD = libusher-templates.a $(BASE_LIBS) $(CMOCKA_LIBS)

FUZZ_TARGETS += tests/fuzz/manifest
tests_fuzz_manifest_SOURCES = tests/fuzz/manifest.c $(FUZZ_MAIN)
tests_fuzz_manifest_CFLAGS = $(AM_CFLAGS) $(FUZZ_CFLAGS)
tests_fuzz_manifest_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_CFLAGS)
tests_fuzz_manifest_LDADD = libusher-templates.a $(BASE_LIBS)
