# gateway: the only thing that faces the network. libsoup appears in gateway/edge only, wslay in gateway/ws.
noinst_LIBRARIES += libusher-gateway.a
libusher_gateway_a_SOURCES = \
	gateway/settings.c gateway/settings.h \
	gateway/edge/broker.c gateway/edge/broker.h \
	gateway/edge/http.c gateway/edge/http.h \
	gateway/edge/http_body.c gateway/edge/http_body.h \
	gateway/edge/http_head.c gateway/edge/http_head.h \
	gateway/edge/server.c gateway/edge/server.h \
	gateway/edge/upgrade.c gateway/edge/upgrade.h \
	gateway/spice/channel.c gateway/spice/channel.h \
	gateway/spice/key_pool.c gateway/spice/key_pool.h \
	gateway/spice/link.c gateway/spice/link.h \
	gateway/spice/session.c gateway/spice/session.h \
	gateway/spice/upstream.c gateway/spice/upstream.h \
	gateway/ws/ws_stream.c gateway/ws/ws_stream.h
libusher_gateway_a_CFLAGS = $(AM_CFLAGS) $(SOUP_CFLAGS) $(WSLAY_CFLAGS)
GATEWAY_LIBS = libusher-gateway.a $(RELAY_LIBS) $(SOUP_LIBS) $(WSLAY_LIBS)

sbin_PROGRAMS += usher-gateway
usher_gateway_SOURCES = gateway/main.c
usher_gateway_CFLAGS = $(AM_CFLAGS)
usher_gateway_LDADD = $(GATEWAY_LIBS) $(BASE_LIBS)

# What strangers send to the gateway, and its settings.
FUZZ_TARGETS += tests/fuzz/http-body tests/fuzz/http-head tests/fuzz/settings tests/fuzz/spice-link tests/fuzz/ws
tests_fuzz_http_body_SOURCES = tests/fuzz/http-body.c $(FUZZ_MAIN)
tests_fuzz_http_body_CFLAGS = $(AM_CFLAGS) $(FUZZ_CFLAGS)
tests_fuzz_http_body_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_CFLAGS)
tests_fuzz_http_body_LDADD = $(GATEWAY_LIBS) $(BASE_LIBS)
tests_fuzz_http_head_SOURCES = tests/fuzz/http-head.c $(FUZZ_MAIN)
tests_fuzz_http_head_CFLAGS = $(AM_CFLAGS) $(FUZZ_CFLAGS)
tests_fuzz_http_head_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_CFLAGS)
tests_fuzz_http_head_LDADD = $(GATEWAY_LIBS) $(BASE_LIBS)
tests_fuzz_settings_SOURCES = tests/fuzz/settings.c $(FUZZ_MAIN)
tests_fuzz_settings_CFLAGS = $(AM_CFLAGS) $(FUZZ_CFLAGS)
tests_fuzz_settings_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_CFLAGS)
tests_fuzz_settings_LDADD = $(GATEWAY_LIBS) $(BASE_LIBS)
tests_fuzz_spice_link_SOURCES = tests/fuzz/spice-link.c $(FUZZ_MAIN)
tests_fuzz_spice_link_CFLAGS = $(AM_CFLAGS) $(FUZZ_CFLAGS)
tests_fuzz_spice_link_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_CFLAGS)
tests_fuzz_spice_link_LDADD = $(GATEWAY_LIBS) $(BASE_LIBS)
tests_fuzz_ws_SOURCES = tests/fuzz/ws.c $(FUZZ_MAIN)
tests_fuzz_ws_CFLAGS = $(AM_CFLAGS) $(FUZZ_CFLAGS)
tests_fuzz_ws_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_CFLAGS)
tests_fuzz_ws_LDADD = $(GATEWAY_LIBS) $(BASE_LIBS)

UNIT_TESTS += tests/unit/gateway-http-test tests/unit/gateway-link-test tests/unit/gateway-ws-test
tests_unit_gateway_http_test_SOURCES = tests/unit/gateway/http-test.c
tests_unit_gateway_http_test_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_gateway_http_test_LDADD = $(GATEWAY_LIBS) $(BASE_LIBS) $(CMOCKA_LIBS)
tests_unit_gateway_link_test_SOURCES = tests/unit/gateway/link-test.c
tests_unit_gateway_link_test_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_gateway_link_test_LDADD = $(GATEWAY_LIBS) $(BASE_LIBS) $(CMOCKA_LIBS)
tests_unit_gateway_ws_test_SOURCES = tests/unit/gateway/ws-test.c
tests_unit_gateway_ws_test_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_gateway_ws_test_LDADD = $(GATEWAY_LIBS) $(BASE_LIBS) $(CMOCKA_LIBS)
