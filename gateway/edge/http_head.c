#include "gateway/edge/http_head.h"
#include <jansson.h>
#include <libsoup/soup.h>
#include <string.h>
#include "common/error.h"
#include "common/json.h"

#define TARGET_MAX 8192
#define HSTS "Strict-Transport-Security: max-age=31536000\r\n"

struct _UsherHttpRequest {
  char *method, *target;
  SoupHTTPVersion version;
  SoupMessageHeaders *headers;
  guint64 body_length;
  gboolean has_length, keep_alive, expects_continue;
};

gsize
usher_http_head_length (const guint8 *bytes, gsize length)
{
  const guint8 *end = memmem (bytes, length, "\r\n\r\n", 4);
  return end != NULL ? (gsize) (end - bytes) + 4 : 0;
}

static gboolean
refuse (guint *out_status, guint status, GError **error, const char *format, ...) G_GNUC_PRINTF (4, 5);

static gboolean
refuse (guint *out_status, guint status, GError **error, const char *format, ...)
{
  va_list args;
  va_start (args, format);
  g_autofree char *message = g_strdup_vprintf (format, args);
  va_end (args);
  *out_status = status;
  g_set_error_literal (error, USHER_ERROR, status == 413 || status == 431 ? USHER_ERROR_TOO_LARGE : USHER_ERROR_INVALID,
                       message);
  return FALSE;
}

/* --- lines, before any parser sees them ---------------------------------------------------------------- */

static gboolean
is_token (guint8 c)
{
  return g_ascii_isalnum (c) || (c != 0 && strchr ("!#$%&'*+-.^_`|~", c) != NULL);
}

/* "Name: value", no blank before the colon, no control character, no folding. */
static gboolean
line_is_header (const guint8 *line, gsize length)
{
  gsize i = 0;
  while (i < length && is_token (line[i]))
    i++;
  if (i == 0 || i == length || line[i] != ':')
    return FALSE;
  for (; i < length; i++)
    if ((line[i] < 0x20 && line[i] != '\t') || line[i] == 0x7f)
      return FALSE;
  return TRUE;
}

static gboolean
check_lines (const guint8 *head, gsize length, guint *out_status, GError **error)
{
  gsize at = 0;
  for (guint line = 0; at < length; line++)
    {
      const guint8 *end = memmem (head + at, length - at, "\r\n", 2);
      const gsize n = end != NULL ? (gsize) (end - head) - at : 0;
      if (end == NULL)
        return refuse (out_status, 400, error, "a line of the head does not end");
      if (n == 0 && line > 0)
        return TRUE;
      if (line > USHER_HTTP_LINES_MAX)
        return refuse (out_status, 431, error, "more than %d header lines", USHER_HTTP_LINES_MAX);
      if (line > 0 && !line_is_header (head + at, n))
        return refuse (out_status, 400, error, "line %u of the head is not a header", line + 1);
      if (line == 0 && (memchr (head + at, '\n', n) != NULL || memchr (head + at, '\r', n) != NULL
                        || memchr (head + at, '\0', n) != NULL))
        return refuse (out_status, 400, error, "the first line holds a control character");
      at += n + 2;
    }
  return refuse (out_status, 400, error, "the head does not end");
}

/* --- requests ------------------------------------------------------------------------------------------ */

/* The headers' rows of one name. */
static guint
count_header (SoupMessageHeaders *headers, const char *name)
{
  SoupMessageHeadersIter iter;
  const char *found, *value;
  guint count = 0;
  soup_message_headers_iter_init (&iter, headers);
  while (soup_message_headers_iter_next (&iter, &found, &value))
    count += g_ascii_strcasecmp (found, name) == 0;
  return count;
}

static gboolean
check_request_line (const UsherHttpRequest *request, guint *out_status, GError **error)
{
  static const char *const methods[] = { "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", NULL };
  if (!g_strv_contains (methods, request->method))
    return refuse (out_status, 405, error, "the method is not served here");
  if (request->version != SOUP_HTTP_1_1 && request->version != SOUP_HTTP_1_0)
    return refuse (out_status, 505, error, "want HTTP/1.1");
  if (request->target[0] != '/' || strlen (request->target) > TARGET_MAX)
    return refuse (out_status, 400, error, "the target is not a path of at most %d bytes", TARGET_MAX);
  for (const char *c = request->target; *c != '\0'; c++)
    if (*c <= 0x20 || *c >= 0x7f || *c == '#' || *c == '\\')
      return refuse (out_status, 400, error, "the target holds a character that must be escaped");
  return TRUE;
}

static gboolean
check_host (const UsherHttpRequest *request, guint *out_status, GError **error)
{
  const guint count = count_header (request->headers, "Host");
  const char *host = soup_message_headers_get_one (request->headers, "Host");
  if (count > 1 || (count == 0 && request->version != SOUP_HTTP_1_0))
    return refuse (out_status, 400, error, "want exactly one Host, found %u", count);
  if (count == 1 && (*host == '\0' || strspn (host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]") != strlen (host)))
    return refuse (out_status, 400, error, "the Host is not a host name");
  return TRUE;
}

static gboolean
check_body (UsherHttpRequest *request, guint *out_status, GError **error)
{
  const guint count = count_header (request->headers, "Content-Length");
  if (count_header (request->headers, "Transfer-Encoding") > 0)
    return refuse (out_status, 400, error, "a request body comes with Content-Length; Transfer-Encoding is not taken");
  if (count > 1)
    return refuse (out_status, 400, error, "want at most one Content-Length, found %u", count);
  if (count == 0)
    return TRUE;
  const char *text = soup_message_headers_get_one (request->headers, "Content-Length");
  const gsize digits = strspn (text, "0123456789");
  if (digits == 0 || text[digits] != '\0')
    return refuse (out_status, 400, error, "the Content-Length is not a number");
  if (digits > 9 || g_ascii_strtoull (text, NULL, 10) > USHER_HTTP_BODY_MAX)
    return refuse (out_status, 413, error, "a body of more than %d bytes", USHER_HTTP_BODY_MAX);
  request->has_length = TRUE;
  request->body_length = g_ascii_strtoull (text, NULL, 10);
  return TRUE;
}

static gboolean
check_connection (UsherHttpRequest *request, guint *out_status, GError **error)
{
  const char *expect = soup_message_headers_get_list (request->headers, "Expect");
  if (expect != NULL && g_ascii_strcasecmp (expect, "100-continue") != 0) /* libsoup lets it pass for HTTP/1.0 */
    return refuse (out_status, 417, error, "only 100-continue can be expected");
  request->expects_continue = expect != NULL && request->version == SOUP_HTTP_1_1;
  request->keep_alive
      = request->version == SOUP_HTTP_1_1 && !soup_message_headers_header_contains (request->headers, "Connection", "close");
  return TRUE;
}

UsherHttpRequest *
usher_http_request_parse (const guint8 *head, gsize length, guint *out_status, GError **error)
{
  if (length > USHER_HTTP_HEAD_MAX)
    return refuse (out_status, 431, error, "a head of more than %d bytes", USHER_HTTP_HEAD_MAX), NULL;
  if (!check_lines (head, length, out_status, error))
    return NULL;
  g_autoptr (UsherHttpRequest) request = g_new0 (UsherHttpRequest, 1);
  request->headers = soup_message_headers_new (SOUP_MESSAGE_HEADERS_REQUEST);
  /* libsoup wants the head without its last empty line. */
  const guint status = soup_headers_parse_request ((const char *) head, (int) length - 2, request->headers, &request->method,
                                                   &request->target, &request->version);
  if (status != SOUP_STATUS_OK || request->method == NULL || request->target == NULL)
    return refuse (out_status, status == 417 || status == 505 ? status : 400, error,
                   status == 417 ? "only 100-continue can be expected" : "the first line is not a request"), NULL;
  if (!check_request_line (request, out_status, error) || !check_host (request, out_status, error)
      || !check_body (request, out_status, error) || !check_connection (request, out_status, error))
    return NULL;
  return g_steal_pointer (&request);
}

const char *
usher_http_request_method (const UsherHttpRequest *request)
{
  return request->method;
}

const char *
usher_http_request_target (const UsherHttpRequest *request)
{
  return request->target;
}

guint64
usher_http_request_body_length (const UsherHttpRequest *request)
{
  return request->body_length;
}

gboolean
usher_http_request_keep_alive (const UsherHttpRequest *request)
{
  return request->keep_alive;
}

gboolean
usher_http_request_expects_continue (const UsherHttpRequest *request)
{
  return request->expects_continue;
}

gboolean
usher_http_request_is_head (const UsherHttpRequest *request)
{
  return strcmp (request->method, "HEAD") == 0;
}

gboolean
usher_http_request_has (const UsherHttpRequest *request, const char *name)
{
  return count_header (request->headers, name) > 0;
}

const char *
usher_http_request_header (const UsherHttpRequest *request, const char *name)
{
  return count_header (request->headers, name) == 1 ? soup_message_headers_get_one (request->headers, name) : NULL;
}

gboolean
usher_http_request_has_token (const UsherHttpRequest *request, const char *name, const char *token)
{
  return soup_message_headers_header_contains (request->headers, name, token);
}

void
usher_http_request_free (UsherHttpRequest *request)
{
  if (request == NULL)
    return;
  g_free (request->method);
  g_free (request->target);
  g_clear_pointer (&request->headers, soup_message_headers_unref);
  g_free (request);
}

/* --- passing on -------------------------------------------------------------------------------------------- */

/* About one connection, not about the message; and what only the gateway may say. */
static const char *const hop_by_hop[] = {
  "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "TE", "Trailer", "Upgrade",
};
static const char *const gateway_only[] = {
  "X-Usher-Client", "X-Usher-Request", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP",
  "Content-Length", "Host", "Expect", /* written anew, or answered here */
};

static gboolean
is_among (const char *name, const char *const *names, gsize count)
{
  for (gsize i = 0; i < count; i++)
    if (g_ascii_strcasecmp (name, names[i]) == 0)
      return TRUE;
  return FALSE;
}

static gboolean
is_hop_by_hop (SoupMessageHeaders *headers, const char *name)
{
  return is_among (name, hop_by_hop, G_N_ELEMENTS (hop_by_hop))
         || soup_message_headers_header_contains (headers, "Connection", name);
}

char *
usher_http_request_rewrite (const UsherHttpRequest *request, const char *client_address, const char *request_id)
{
  SoupMessageHeadersIter iter;
  const char *name, *value, *host = soup_message_headers_get_one (request->headers, "Host");
  GString *out = g_string_new (NULL);
  g_string_append_printf (out, "%s %s HTTP/1.%d\r\nHost: %s\r\n", request->method, request->target,
                          request->version == SOUP_HTTP_1_1 ? 1 : 0, host != NULL ? host : "localhost");
  soup_message_headers_iter_init (&iter, request->headers);
  while (soup_message_headers_iter_next (&iter, &name, &value))
    if (!is_hop_by_hop (request->headers, name) && !is_among (name, gateway_only, G_N_ELEMENTS (gateway_only)))
      g_string_append_printf (out, "%s: %s\r\n", name, value);
  if (request->has_length)
    g_string_append_printf (out, "Content-Length: %" G_GUINT64_FORMAT "\r\n", request->body_length);
  g_string_append_printf (out, "X-Usher-Client: %s\r\nX-Usher-Request: %s\r\n\r\n", client_address, request_id);
  return g_string_free (out, FALSE);
}

/* --- responses --------------------------------------------------------------------------------------------- */

static gboolean
find_framing (UsherHttpResponse *response, SoupMessageHeaders *headers, const UsherHttpRequest *request, GError **error)
{
  guint status = 0;
  const guint lengths = count_header (headers, "Content-Length"), codings = count_header (headers, "Transfer-Encoding");
  const char *length = soup_message_headers_get_one (headers, "Content-Length");
  if (response->status < 200 || response->status == 204 || response->status == 304 || usher_http_request_is_head (request))
    response->framing = USHER_HTTP_FRAME_NONE;
  else if (codings > 0)
    {
      const char *coding = soup_message_headers_get_list (headers, "Transfer-Encoding");
      if (lengths > 0 || codings > 1 || g_ascii_strcasecmp (coding, "chunked") != 0)
        return refuse (&status, 502, error, "the broker's framing is ambiguous");
      response->framing = USHER_HTTP_FRAME_CHUNKED;
    }
  else if (lengths > 0)
    {
      response->framing = USHER_HTTP_FRAME_LENGTH;
      if (lengths > 1 || !g_ascii_string_to_unsigned (length, 10, 0, G_MAXINT64, &response->length, NULL))
        return refuse (&status, 502, error, "the broker's Content-Length is not one number");
    }
  else
    response->framing = USHER_HTTP_FRAME_CLOSE;
  return TRUE;
}

static char *
rewrite_response (const UsherHttpResponse *response, SoupMessageHeaders *headers, const char *reason, gboolean close)
{
  SoupMessageHeadersIter iter;
  const char *name, *value;
  GString *out = g_string_new (NULL);
  g_string_append_printf (out, "HTTP/1.1 %u %s\r\n", response->status, reason != NULL ? reason : "");
  soup_message_headers_iter_init (&iter, headers);
  while (soup_message_headers_iter_next (&iter, &name, &value))
    if (!is_hop_by_hop (headers, name) && g_ascii_strcasecmp (name, "Strict-Transport-Security") != 0)
      g_string_append_printf (out, "%s: %s\r\n", name, value);
  g_string_append (out, HSTS);
  if (close || response->framing == USHER_HTTP_FRAME_CLOSE)
    g_string_append (out, "Connection: close\r\n");
  g_string_append (out, "\r\n");
  return g_string_free (out, FALSE);
}

UsherHttpResponse *
usher_http_response_parse (const guint8 *head, gsize length, const UsherHttpRequest *request, gboolean close, GError **error)
{
  guint ignored = 0;
  SoupHTTPVersion version = SOUP_HTTP_1_0;
  g_autofree char *reason = NULL;
  g_autoptr (UsherHttpResponse) response = g_new0 (UsherHttpResponse, 1);
  if (!check_lines (head, length, &ignored, error))
    return NULL;
  g_autoptr (SoupMessageHeaders) headers = soup_message_headers_new (SOUP_MESSAGE_HEADERS_RESPONSE);
  if (!soup_headers_parse_response ((const char *) head, (int) length - 2, headers, &version, &response->status, &reason)
      || response->status < 100 || response->status > 599)
    return refuse (&ignored, 502, error, "the broker's answer is not HTTP"), NULL;
  if (!find_framing (response, headers, request, error))
    return NULL;
  response->keep_alive = version == SOUP_HTTP_1_1 && response->framing != USHER_HTTP_FRAME_CLOSE
                         && !soup_message_headers_header_contains (headers, "Connection", "close");
  if (response->status >= 200)
    response->rewritten = rewrite_response (response, headers, reason, close);
  return g_steal_pointer (&response);
}

void
usher_http_response_free (UsherHttpResponse *response)
{
  if (response == NULL)
    return;
  g_free (response->rewritten);
  g_free (response);
}

char *
usher_http_error_response (guint status, const char *code, const char *message, const char *request_id, gboolean with_body,
                           gboolean close)
{
  json_auto_t *json = json_pack ("{s:{s:s, s:s, s:[], s:s}}", "error", "code", code, "message", message, "reasons",
                                 "request", request_id);
  g_autofree char *body = json != NULL ? usher_json_to_line (json) : g_strdup ("{}");
  return g_strdup_printf ("HTTP/1.1 %u %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n"
                          "%s%s" HSTS "\r\n%s",
                          status, soup_status_get_phrase (status), strlen (body), status == 503 ? "Retry-After: 2\r\n" : "",
                          close ? "Connection: close\r\n" : "", with_body ? body : "");
}
