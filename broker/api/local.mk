# broker/api: the HTTP interfaces; the only folder of the broker that knows libsoup.
noinst_LIBRARIES += libusher-api.a
libusher_api_a_SOURCES = \
	broker/api/api.h broker/api/api_private.h \
	broker/api/call.c broker/api/call.h broker/api/call_private.h \
	broker/api/call_answer.c broker/api/call_flow.c broker/api/call_stream.c \
	broker/api/connect.c \
	broker/api/cookie.c broker/api/cookie.h \
	broker/api/downloads.c \
	broker/api/error_body.c broker/api/error_body.h \
	broker/api/gateway.c \
	broker/api/guard.c broker/api/guard.h \
	broker/api/health.c \
	broker/api/hosts.c \
	broker/api/listeners.c broker/api/listeners.h \
	broker/api/people.c \
	broker/api/range.c broker/api/range.h \
	broker/api/records.c \
	broker/api/refusals.c \
	broker/api/route.c broker/api/route.h broker/api/route_table.c \
	broker/api/server.c \
	broker/api/signin.c \
	broker/api/handlers.h broker/api/static.c \
	broker/api/static_files.c broker/api/static_files.h \
	broker/api/uploads.c \
	broker/api/versions.c \
	broker/api/vv_file.c broker/api/vv_file.h \
	broker/api/waiters.c broker/api/waiters.h \
	broker/settings.c broker/settings.h
libusher_api_a_CFLAGS = $(AM_CFLAGS) $(SOUP_CFLAGS)
API_LIBS = libusher-api.a $(BROKER_IMAGES_LIBS) $(BASE_LIBS) $(SOUP_LIBS)

sbin_PROGRAMS += usher-broker
usher_broker_SOURCES = broker/main.c
usher_broker_CFLAGS = $(AM_CFLAGS)
usher_broker_LDADD = libusher-api.a $(BROKER_IMAGES_LIBS) $(CONTROLLERS_LIBS) $(SOUP_LIBS) $(BASE_LIBS)

API_TEST_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
UNIT_TESTS += tests/unit/broker/api/route-test tests/unit/broker/api/cookie-test \
	tests/unit/broker/api/static_files-test tests/unit/broker/api/vv_file-test \
	tests/unit/broker/api/waiters-test tests/unit/broker/api/error_body-test \
	tests/unit/broker/api/range-test tests/unit/broker/images/wish-test
tests_unit_broker_api_range_test_SOURCES = tests/unit/broker/api/range-test.c
tests_unit_broker_api_range_test_CFLAGS = $(API_TEST_CFLAGS)
tests_unit_broker_api_range_test_LDADD = $(API_LIBS) $(CMOCKA_LIBS)
tests_unit_broker_images_wish_test_SOURCES = tests/unit/broker/images/wish-test.c
tests_unit_broker_images_wish_test_CFLAGS = $(API_TEST_CFLAGS)
tests_unit_broker_images_wish_test_LDADD = $(API_LIBS) $(CMOCKA_LIBS)
tests_unit_broker_api_route_test_SOURCES = tests/unit/broker/api/route-test.c
tests_unit_broker_api_route_test_CFLAGS = $(API_TEST_CFLAGS)
tests_unit_broker_api_route_test_LDADD = $(API_LIBS) $(CMOCKA_LIBS)
tests_unit_broker_api_cookie_test_SOURCES = tests/unit/broker/api/cookie-test.c
tests_unit_broker_api_cookie_test_CFLAGS = $(API_TEST_CFLAGS)
tests_unit_broker_api_cookie_test_LDADD = $(API_LIBS) $(CMOCKA_LIBS)
tests_unit_broker_api_static_files_test_SOURCES = tests/unit/broker/api/static_files-test.c
tests_unit_broker_api_static_files_test_CFLAGS = $(API_TEST_CFLAGS)
tests_unit_broker_api_static_files_test_LDADD = $(API_LIBS) $(CMOCKA_LIBS)
tests_unit_broker_api_vv_file_test_SOURCES = tests/unit/broker/api/vv_file-test.c
tests_unit_broker_api_vv_file_test_CFLAGS = $(API_TEST_CFLAGS)
tests_unit_broker_api_vv_file_test_LDADD = $(API_LIBS) $(CMOCKA_LIBS)
tests_unit_broker_api_waiters_test_SOURCES = tests/unit/broker/api/waiters-test.c
tests_unit_broker_api_waiters_test_CFLAGS = $(API_TEST_CFLAGS)
tests_unit_broker_api_waiters_test_LDADD = $(API_LIBS) $(CMOCKA_LIBS)
tests_unit_broker_api_error_body_test_SOURCES = tests/unit/broker/api/error_body-test.c
tests_unit_broker_api_error_body_test_CFLAGS = $(API_TEST_CFLAGS)
tests_unit_broker_api_error_body_test_LDADD = $(API_LIBS) $(CMOCKA_LIBS)

FUZZ_TARGETS += tests/fuzz/http-request
tests_fuzz_http_request_SOURCES = tests/fuzz/http-request.c $(FUZZ_MAIN)
tests_fuzz_http_request_CFLAGS = $(AM_CFLAGS) $(FUZZ_CFLAGS)
tests_fuzz_http_request_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_CFLAGS)
tests_fuzz_http_request_LDADD = $(API_LIBS)

FUZZ_TARGETS += tests/fuzz/upload
tests_fuzz_upload_SOURCES = tests/fuzz/upload.c $(FUZZ_MAIN)
tests_fuzz_upload_CFLAGS = $(AM_CFLAGS) $(FUZZ_CFLAGS)
tests_fuzz_upload_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_CFLAGS)
tests_fuzz_upload_LDADD = $(API_LIBS)
