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

# What goes into Linux guests. Recipes in the source tree compile it themselves; installed ones find it beside them, linked
# statically as the guests need it (usher-guest-identity is for the tests).
GUEST_FILES = templates/guest/identity.c templates/guest/document.c templates/guest/ssh_key.c
guest-identity: $(GUEST_FILES) templates/guest/document.h templates/guest/ssh_key.h
	$(AM_V_CCLD)cd $(top_srcdir) && $(CC) -std=gnu11 -D_GNU_SOURCE -Os -s -static -ffunction-sections -fdata-sections \
		-Wl,--gc-sections -I . $(SODIUM_CFLAGS) -o "$(abs_builddir)/$@" $(GUEST_FILES) -lsodium
CLEANFILES += guest-identity

noinst_LIBRARIES += libusher-guest.a
libusher_guest_a_SOURCES = \
	templates/guest/document.c templates/guest/document.h \
	templates/guest/ssh_key.c templates/guest/ssh_key.h
libusher_guest_a_CFLAGS = $(AM_CFLAGS)

noinst_PROGRAMS += usher-guest-identity
usher_guest_identity_SOURCES = templates/guest/identity.c
usher_guest_identity_CFLAGS = $(AM_CFLAGS)
usher_guest_identity_LDADD = libusher-guest.a $(SODIUM_LIBS)

UNIT_TESTS += tests/unit/templates/guest-test
tests_unit_templates_guest_test_SOURCES = tests/unit/templates/guest-test.c
tests_unit_templates_guest_test_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_templates_guest_test_LDADD = libusher-guest.a $(BASE_LIBS) $(CMOCKA_LIBS)

FUZZ_TARGETS += tests/fuzz/guest-document
tests_fuzz_guest_document_SOURCES = tests/fuzz/guest-document.c $(FUZZ_MAIN)
tests_fuzz_guest_document_CFLAGS = $(AM_CFLAGS) $(FUZZ_CFLAGS)
tests_fuzz_guest_document_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_CFLAGS)
tests_fuzz_guest_document_LDADD = libusher-guest.a $(BASE_LIBS)
