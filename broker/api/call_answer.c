/* Sending a call's answer: headers that every answer carries, the error body, the log line. */
#include "broker/api/api_private.h"
#include "broker/api/call_private.h"
#include "broker/api/error_body.h"
#include "common/error.h"

/* As the protocol page says, 429 and 503 say when to come again. */
static void
set_error_answer (UsherCall *call, const GError *error)
{
  UsherError code = usher_error_code (error);
  guint status = call->status >= 400 ? call->status : usher_error_http_status (code);
  usher_call_answer (call, status, usher_error_body (error, call->reasons, call->request));
  if (status == 429 || status == 503) {
    g_autofree char *seconds = g_strdup_printf ("%u", call->retry_after_s);
    usher_call_set_header (call, "Retry-After", seconds);
  }
}

static void
set_headers (UsherCall *call)
{
  SoupMessageHeaders *headers = soup_server_message_get_response_headers (call->message);
  static const char *const always[][2] = {
    { "X-Content-Type-Options", "nosniff" },
    { "Referrer-Policy", "no-referrer" },
    { "X-Frame-Options", "DENY" },
    { "Cross-Origin-Resource-Policy", "same-origin" },
    { "Cross-Origin-Opener-Policy", "same-origin" },
  };
  for (guint i = 0; i < G_N_ELEMENTS (always); i++)
    soup_message_headers_replace (headers, always[i][0], always[i][1]);
  soup_message_headers_replace (headers, "Content-Security-Policy", call->api->content_security_policy);
  soup_message_headers_replace (headers, "Cache-Control", "no-store");
  soup_message_headers_replace (headers, "X-Usher-Request", call->request);
  for (guint i = 0; call->headers != NULL && i + 1 < call->headers->len; i += 2)
    soup_message_headers_replace (headers, g_ptr_array_index (call->headers, i), g_ptr_array_index (call->headers, i + 1));
}

static void
log_answer (UsherCall *call, const GError *error)
{
  UsherLogContext context = usher_call_log_context (call);
  UsherError code = error != NULL ? usher_error_code (error) : 0;
  gint64 took_ms = (g_get_monotonic_time () - call->began_us) / 1000;
  UsherLogLevel level = error == NULL ? USHER_LOG_DEBUG : USHER_LOG_INFO;
  if (error != NULL && (code == USHER_ERROR_INTERNAL || code == USHER_ERROR_UNAVAILABLE))
    level = code == USHER_ERROR_INTERNAL ? USHER_LOG_ERROR : USHER_LOG_WARNING;
  usher_log (level, &context, "%s %s: %u in %" G_GINT64_FORMAT " ms%s%s", soup_server_message_get_method (call->message),
             g_uri_get_path (soup_server_message_get_uri (call->message)), call->status, took_ms, error != NULL ? ": " : "",
             error != NULL ? error->message : "");
}

typedef struct {
  UsherCall *call;
  GError *error;
} Late;

static gboolean
finish_late (gpointer data)
{
  Late *late = data;
  usher_call_finish (late->call, late->error);
  g_error_free (late->error);
  usher_call_unref (late->call);
  g_free (late);
  return G_SOURCE_REMOVE;
}

/* Whether a refusal's time has not come yet; it is sent then. */
static gboolean
hold_back (UsherCall *call, const GError *error)
{
  gint64 left_ms = (gint64) call->refusal_floor_ms - (g_get_monotonic_time () - call->began_us) / 1000;
  call->refusal_floor_ms = 0;
  if (error == NULL || left_ms <= 0)
    return FALSE;
  Late *late = g_new (Late, 1);
  *late = (Late){ .call = usher_call_ref (call), .error = g_error_copy (error) };
  g_timeout_add ((guint) left_ms, finish_late, late);
  return TRUE;
}

void
usher_call_send_head (UsherCall *call, const GError *error)
{
  set_headers (call);
  soup_server_message_set_status (call->message, call->status, call->status == 429 ? "Too Many Requests" : NULL);
  log_answer (call, error);
}

void
usher_call_finish (UsherCall *call, const GError *error)
{
  g_return_if_fail (!call->finished);
  if (hold_back (call, error))
    return;
  call->finished = TRUE;
  if (error != NULL)
    set_error_answer (call, error);
  usher_call_send_head (call, error);
  if (call->bytes != NULL) {
    SoupMessageHeaders *headers = soup_server_message_get_response_headers (call->message);
    soup_message_headers_set_content_type (headers, call->type, NULL);
    soup_message_body_append_bytes (soup_server_message_get_response_body (call->message), call->bytes);
  }
  usher_api_call_ended (call->api, call, error);
  if (!call->gone)
    soup_server_message_unpause (call->message);
}
