noinst_LIBRARIES += libusher-common.a
libusher_common_a_SOURCES = \
	common/checksum.c common/checksum.h \
	common/error.c common/error.h \
	common/fault.c common/fault.h \
	common/id.c common/id.h \
	common/json.c common/json.h \
	common/log.c common/log.h \
	common/pace.c common/pace.h \
	common/pki.c common/pki.h \
	common/secret.c common/secret.h \
	common/settings.c common/settings.h \
	common/start.c common/start.h \
	common/workers.c common/workers.h \
	common/rpc/door.c common/rpc/door.h \
	common/rpc/grant.c common/rpc/grant.h \
	common/rpc/redeem.c common/rpc/redeem.h \
	common/rpc/sync.c common/rpc/sync.h \
	common/rpc/sync_images.c common/rpc/sync_private.h
libusher_common_a_CFLAGS = $(AM_CFLAGS)

UNIT_TESTS += tests/unit/common-test
tests_unit_common_test_SOURCES = tests/unit/common/common-test.c
tests_unit_common_test_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_common_test_LDADD = $(BASE_LIBS) $(CMOCKA_LIBS)

UNIT_TESTS += tests/unit/common/pki-test
tests_unit_common_pki_test_SOURCES = tests/unit/common/pki-test.c
tests_unit_common_pki_test_CFLAGS = $(AM_CFLAGS) $(OPENSSL_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_common_pki_test_LDADD = $(BASE_LIBS) $(CMOCKA_LIBS)

FUZZ_TARGETS += tests/fuzz/pem
tests_fuzz_pem_SOURCES = tests/fuzz/pem.c $(FUZZ_MAIN)
tests_fuzz_pem_CFLAGS = $(AM_CFLAGS) $(FUZZ_CFLAGS)
tests_fuzz_pem_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_CFLAGS)
tests_fuzz_pem_LDADD = $(BASE_LIBS)
