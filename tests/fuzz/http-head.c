/* The heads that the gateway passes on. A request that was taken is written for the broker and must be read there
 * as the same: one Host, at most one Content-Length, no Transfer-Encoding. Responses likewise must not break out. */
#include <string.h>
#include "gateway/edge/http_head.h"
#include "gateway/edge/upgrade.h"
#include "tests/fuzz/fuzz.h"

static void
check_rewritten (const UsherHttpRequest *request)
{
  guint status = 0;
  g_autoptr (GError) error = NULL;
  g_autofree char *text = usher_http_request_rewrite (request, "203.0.113.9", "11111111-2222-4333-8444-555555555555");
  const gsize length = strlen (text);
  g_assert_cmpuint (usher_http_head_length ((const guint8 *) text, length), ==, length);
  if (length > USHER_HTTP_HEAD_MAX) /* what was added may pass the limit */
    return;
  g_autoptr (UsherHttpRequest) again = usher_http_request_parse ((const guint8 *) text, length, &status, &error);
  if (again == NULL && status == 431) /* or the lines */
    return;
  g_assert_no_error (error);
  g_assert_cmpstr (usher_http_request_target (again), ==, usher_http_request_target (request));
  g_assert_cmpuint (usher_http_request_body_length (again), ==, usher_http_request_body_length (request));
  g_assert_cmpstr (usher_http_request_header (again, "X-Usher-Client"), ==, "203.0.113.9");
}

static void
check_response (const guint8 *bytes, gsize length, const UsherHttpRequest *request)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (UsherHttpResponse) response = usher_http_response_parse (bytes, length, request, FALSE, &error);
  g_assert_true ((response == NULL) == (error != NULL));
  if (response != NULL && response->rewritten != NULL)
    g_assert_cmpuint (usher_http_head_length ((const guint8 *) response->rewritten, strlen (response->rewritten)), ==,
                      strlen (response->rewritten));
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const char get[] = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
  guint status = 0;
  g_autoptr (GError) error = NULL;
  const gsize head = usher_http_head_length (data, size);
  if (head == 0)
    return 0;
  g_autoptr (UsherHttpRequest) plain = usher_http_request_parse ((const guint8 *) get, sizeof get - 1, &status, NULL);
  check_response (data, head, plain);
  g_autoptr (UsherHttpRequest) request = usher_http_request_parse (data, head, &status, &error);
  g_assert_true ((request == NULL) == (error != NULL) && (request != NULL || (status >= 400 && status < 600)));
  if (request == NULL)
    return 0;
  check_rewritten (request);
  g_autofree char *answer = usher_upgrade_answer (request, "https://h", NULL);
  return 0;
}
