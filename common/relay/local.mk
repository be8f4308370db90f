# common/relay: the byte-moving engine of gateway and door. OpenSSL's TLS appears here only.
noinst_LIBRARIES += libusher-relay.a
libusher_relay_a_SOURCES = \
	common/relay/buffer.c common/relay/buffer.h \
	common/relay/link_key.c common/relay/link_key.h \
	common/relay/loop.c common/relay/loop.h \
	common/relay/relay.c common/relay/relay.h \
	common/relay/sandbox.c common/relay/sandbox.h \
	common/relay/socket.c common/relay/socket.h \
	common/relay/stream.c common/relay/stream.h \
	common/relay/tls.c common/relay/tls.h
libusher_relay_a_CFLAGS = $(AM_CFLAGS) $(OPENSSL_CFLAGS) $(SECCOMP_CFLAGS)
RELAY_LIBS = libusher-relay.a $(SECCOMP_LIBS)

UNIT_TESTS += tests/unit/relay-test
tests_unit_relay_test_SOURCES = tests/unit/relay/relay-test.c
tests_unit_relay_test_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_relay_test_LDADD = $(RELAY_LIBS) $(BASE_LIBS) $(CMOCKA_LIBS)
