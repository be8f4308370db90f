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
