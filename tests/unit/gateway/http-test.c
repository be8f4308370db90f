/* What the gateway makes of HTTP heads and where it finds the end of a body. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include <jansson.h>
#include "common/error.h"
#include "gateway/edge/http_body.h"
#include "gateway/edge/upgrade.h"

#define REQUEST_ID "11111111-2222-4333-8444-555555555555"

static UsherHttpRequest *
parse (const char *text, guint *out_status)
{
  g_autoptr (GError) error = NULL;
  *out_status = 0;
  UsherHttpRequest *request = usher_http_request_parse ((const guint8 *) text, strlen (text), out_status, &error);
  assert_true ((request == NULL) == (error != NULL));
  return request;
}

static void
a_request_is_written_anew_for_the_broker (void **state)
{
  guint status;
  g_autoptr (UsherHttpRequest) request
      = parse ("POST /api/v1/signin?a=b HTTP/1.1\r\nhost: desk.example:8443\r\nContent-Length: 7\r\nCookie: a=1; b=2\r\n"
               "Connection: keep-alive, X-Drop\r\nX-Drop: 1\r\nx-usher-client: 6.6.6.6\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n", &status);
  assert_non_null (request);
  g_autofree char *text = usher_http_request_rewrite (request, "203.0.113.9", REQUEST_ID);
  assert_string_equal (text, "POST /api/v1/signin?a=b HTTP/1.1\r\nHost: desk.example:8443\r\nCookie: a=1; b=2\r\n"
                             "Content-Length: 7\r\nX-Usher-Client: 203.0.113.9\r\nX-Usher-Request: " REQUEST_ID "\r\n\r\n");
  assert_true (usher_http_request_keep_alive (request));
}

static const struct {
  const char *head;
  guint status;
} refused[] = {
  { "GET / HTTP/1.1\r\n\r\n", 400 },
  { "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400 },
  { "GET / HTTP/1.1\r\nHost: \r\n\r\n", 400 },
  { "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400 },
  { "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505 },
  { "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
  { "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
  { "GET /\x80 HTTP/1.1\r\nHost: a\r\n\r\n", 400 },
  { "get / HTTP/1.1\r\nHost: a\r\n\r\n", 405 },
  { "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 405 },
  { "GET / HTTP/1.1\r\nHost: a\r\n X: folded\r\n\r\n", 400 },
  { "GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n", 400 },
  { "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", 400 },
  { "GET / HTTP/1.1\nHost: a\n\r\n\r\n", 400 },
  { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400 },
  { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400 },
  { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 1\r\n\r\n", 400 },
  { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\n", 400 },
  { "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n", 413 },
  { "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400 },
  { "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 400 },
  { "POST / HTTP/1.1\r\nHost: a\r\nExpect: a-miracle\r\n\r\n", 417 },
};

static void
what_could_be_read_in_two_ways_is_refused (void **state)
{
  for (guint i = 0; i < G_N_ELEMENTS (refused); i++)
    {
      guint status;
      g_autoptr (UsherHttpRequest) request = parse (refused[i].head, &status);
      if (request != NULL || status != refused[i].status)
        fail_msg ("%s: %u", refused[i].head, status);
    }
}

static void
a_request_without_keep_alive_says_so (void **state)
{
  guint status;
  g_autoptr (UsherHttpRequest) closing = parse ("GET / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n", &status);
  g_autoptr (UsherHttpRequest) old = parse ("GET / HTTP/1.0\r\n\r\n", &status);
  assert_false (usher_http_request_keep_alive (closing));
  assert_false (usher_http_request_keep_alive (old));
}

/* --- responses --------------------------------------------------------------------------------- */

static UsherHttpResponse *
respond (const char *method, const char *head)
{
  guint status;
  g_autofree char *text = g_strdup_printf ("%s / HTTP/1.1\r\nHost: a\r\n\r\n", method);
  g_autoptr (UsherHttpRequest) request = parse (text, &status);
  return usher_http_response_parse ((const guint8 *) head, strlen (head), request, FALSE, NULL);
}

static const struct {
  const char *method, *head;
  UsherHttpFraming framing;
  gboolean good;
} responses[] = {
  { "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", USHER_HTTP_FRAME_LENGTH, TRUE },
  { "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", USHER_HTTP_FRAME_CHUNKED, TRUE },
  { "GET", "HTTP/1.1 200 OK\r\n\r\n", USHER_HTTP_FRAME_CLOSE, TRUE },
  { "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", USHER_HTTP_FRAME_NONE, TRUE },
  { "GET", "HTTP/1.1 204 No Content\r\n\r\n", USHER_HTTP_FRAME_NONE, TRUE },
  { "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", USHER_HTTP_FRAME_NONE, TRUE },
  { "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 0, FALSE },
  { "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 0, FALSE },
  { "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 0, FALSE },
  { "GET", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", 0, FALSE },
  { "GET", "SPICE/1.1 200 OK\r\n\r\n", 0, FALSE },
};

static void
the_framing_of_an_answer_is_found_or_refused (void **state)
{
  for (guint i = 0; i < G_N_ELEMENTS (responses); i++)
    {
      g_autoptr (UsherHttpResponse) response = respond (responses[i].method, responses[i].head);
      if ((response != NULL) != responses[i].good || (response != NULL && response->framing != responses[i].framing))
        fail_msg ("%s", responses[i].head);
    }
}

static void
an_answer_is_written_anew_for_the_client (void **state)
{
  g_autoptr (UsherHttpResponse) response = respond ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n"
                                                           "Keep-Alive: timeout=5\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\n");
  assert_string_equal (response->rewritten, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n"
                                            "Strict-Transport-Security: max-age=31536000\r\n\r\n");
}

/* --- bodies ------------------------------------------------------------------------------------ */

static const struct {
  const char *text;
  gssize used; /* -1: broken; else where it ends, and `done` */
  gboolean done;
} bodies[] = {
  { "5\r\nhello\r\n0\r\n\r\nHTTP", 15, TRUE },
  { "5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n", 25, TRUE },
  { "A\r\n0123456789\r\n0\r\n\r\n", 20, TRUE },
  { "5\r\nhel", 6, FALSE },
  { "\r\nhello", -1, FALSE },
  { "5\nhello\r\n", -1, FALSE },
  { "5\r\nhelloX\r\n", -1, FALSE },
  { "-5\r\n", -1, FALSE },
  { "0x5\r\n", -1, FALSE },
  { "1234567890123456\r\n", -1, FALSE },
  { "0\r\n\rX", -1, FALSE },
};

static void
a_chunked_body_ends_where_it_says (void **state)
{
  for (guint i = 0; i < G_N_ELEMENTS (bodies); i++)
    {
      UsherHttpBody body;
      usher_http_body_init (&body, USHER_HTTP_FRAME_CHUNKED, 0);
      const gssize used = usher_http_body_scan (&body, (const guint8 *) bodies[i].text, strlen (bodies[i].text), NULL);
      if (used != bodies[i].used || body.done != bodies[i].done)
        fail_msg ("%s: %zd", bodies[i].text, used);
    }
}

/* --- the WebSocket's handshake ----------------------------------------------------------------------- */

static void
origins_are_compared_in_normal_form (void **state)
{
  static const char *const same[] = { "https://desk.example", "https://DESK.example:443/", "HTTPS://desk.example/portal?x" };
  for (guint i = 0; i < G_N_ELEMENTS (same); i++)
    {
      g_autofree char *origin = usher_origin_of_url (same[i], NULL);
      assert_string_equal (origin, "https://desk.example");
    }
  g_autofree char *port = usher_origin_of_url ("https://[::1]:8443", NULL);
  assert_string_equal (port, "https://[::1]:8443");
  assert_null (usher_origin_of_url ("http://desk.example", NULL));
  assert_null (usher_origin_of_url ("null", NULL));
}

static void
only_the_one_path_is_a_websocket (void **state)
{
  static const struct {
    const char *target;
    gboolean wanted;
  } table[] = { { "/spice", TRUE }, { "/spice?x", TRUE }, { "/spices", FALSE }, { "/spice/", FALSE }, { "/", FALSE } };
  for (guint i = 0; i < G_N_ELEMENTS (table); i++)
    {
      guint status;
      g_autofree char *text = g_strdup_printf ("GET %s HTTP/1.1\r\nHost: a\r\n\r\n", table[i].target);
      g_autoptr (UsherHttpRequest) request = parse (text, &status);
      assert_int_equal (usher_upgrade_is_wanted (request), table[i].wanted);
    }
}

static void
an_error_is_the_document_of_the_contract (void **state)
{
  g_autofree char *text = usher_http_error_response (503, "unavailable", "the broker \"is\" away", REQUEST_ID, TRUE, TRUE);
  const char *body = strstr (text, "\r\n\r\n");
  assert_non_null (body);
  assert_non_null (strstr (text, "\r\nRetry-After: "));
  json_t *json = json_loads (body + 4, 0, NULL);
  const json_t *error = json_object_get (json, "error");
  assert_string_equal (json_string_value (json_object_get (error, "code")), "unavailable");
  assert_string_equal (json_string_value (json_object_get (error, "message")), "the broker \"is\" away");
  assert_string_equal (json_string_value (json_object_get (error, "request")), REQUEST_ID);
  assert_true (json_is_array (json_object_get (error, "reasons")));
  json_decref (json);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (a_request_is_written_anew_for_the_broker),
    cmocka_unit_test (what_could_be_read_in_two_ways_is_refused),
    cmocka_unit_test (a_request_without_keep_alive_says_so),
    cmocka_unit_test (the_framing_of_an_answer_is_found_or_refused),
    cmocka_unit_test (an_answer_is_written_anew_for_the_client),
    cmocka_unit_test (a_chunked_body_ends_where_it_says),
    cmocka_unit_test (origins_are_compared_in_normal_form),
    cmocka_unit_test (only_the_one_path_is_a_websocket),
    cmocka_unit_test (an_error_is_the_document_of_the_contract),
  };
  cmocka_set_message_output (CM_OUTPUT_TAP);
  return cmocka_run_group_tests_name ("http", tests, NULL, NULL);
}
