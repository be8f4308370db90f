#include "broker/api/guard.h"
#include <string.h>
#include "broker/api/api_private.h"
#include "broker/api/call_private.h"
#include "broker/api/cookie.h"
#include "broker/store/hosts.h"
#include "common/error.h"
#include "common/pki.h"

gboolean
usher_guard_head (SoupServerMessage *message, GError **error)
{
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (message);
  SoupEncoding encoding = soup_message_headers_get_encoding (headers);
  if (encoding != SOUP_ENCODING_NONE && encoding != SOUP_ENCODING_CONTENT_LENGTH) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "a body must come with Content-Length");
    return FALSE;
  }
  if (encoding == SOUP_ENCODING_CONTENT_LENGTH && soup_message_headers_get_content_length (headers) > USHER_BODY_MAX) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_TOO_LARGE, "the body is larger than %d bytes", USHER_BODY_MAX);
    return FALSE;
  }
  return TRUE;
}

/* A form of another site cannot send these types without asking first, and its origin is not ours. */
static gboolean
check_origin (UsherCall *call, GError **error)
{
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (call->message);
  const char *type = soup_message_headers_get_content_type (headers, NULL);
  const char *wanted = call->route->body == USHER_BODY_OCTETS ? "application/octet-stream" : "application/json";
  if (type == NULL || g_ascii_strcasecmp (type, wanted) != 0) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "Content-Type must be %s", wanted);
    return FALSE;
  }
  if (!usher_origin_allowed (soup_message_headers_get_one (headers, "Origin"), call->api->public_origin)) {
    usher_call_add_reason (call, "origin", "the request comes from another site");
    g_set_error (error, USHER_ERROR, USHER_ERROR_REFUSED, "Origin is not %s", call->api->public_origin);
    return FALSE;
  }
  return TRUE;
}

static gboolean
parse_body (UsherCall *call, GError **error)
{
  SoupMessageBody *body = soup_server_message_get_request_body (call->message);
  if (body->length == 0)
    return TRUE;
  g_autoptr (GBytes) bytes = soup_message_body_flatten (body);
  gsize length = 0;
  if (call->route->body == USHER_BODY_OCTETS) {
    call->octets = g_steal_pointer (&bytes);
    return TRUE;
  }
  const char *text = g_bytes_get_data (bytes, &length);
  call->body = usher_json_parse (text, length, "body", error);
  if (call->body == NULL)
    return FALSE;
  if (json_is_object (call->body))
    return TRUE;
  g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "body: must be a JSON object");
  return FALSE;
}

gboolean
usher_guard_request (UsherCall *call, GError **error)
{
  if (g_str_equal (call->route->method, "GET"))
    return TRUE;
  call->audit_action = "request";
  if (!check_origin (call, error) || !parse_body (call, error))
    return FALSE;
  call->audit_action = NULL;
  return TRUE;
}

static gboolean
is_admin (UsherCall *call, const UsherSignedIn *who)
{
  const char *group = usher_settings_get_string (call->api->parts.settings, "broker", "admin_group");
  return usher_groups_contain ((const char *const *) who->groups, (const char *const *) who->group_names, group);
}

static gboolean
authorise_person (UsherCall *call, UsherStore *store, GError **error)
{
  if (!call->has_token) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_UNAUTHENTICATED, "sign in first");
    return FALSE;
  }
  call->signed_in = usher_store_find_signed_in (store, call->token, error);
  if (call->signed_in == NULL)
    return FALSE;
  call->admin = is_admin (call, call->signed_in);
  if (call->route->caller == USHER_CALLER_PERSON || call->admin)
    return TRUE;
  call->audit_action = "request";
  usher_call_add_reason (call, "role", "your account is not in the administrators' group");
  g_set_error (error, USHER_ERROR, USHER_ERROR_REFUSED, "only administrators may do this");
  return FALSE;
}

/* The TLS layer has checked that our CA signed it; here: that it is the one in force for its host. */
static gboolean
authorise_host (UsherCall *call, UsherStore *store, GError **error)
{
  char fingerprint[USHER_FINGERPRINT_SIZE], host[USHER_ID_SIZE];
  g_autofree char *name = NULL;
  call->audit_action = "sync";
  if (call->peer_pem == NULL) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_UNAUTHENTICATED, "no client certificate was shown");
    return FALSE;
  }
  if (!usher_certificate_identify (call->peer_pem, fingerprint, &name, error)
      || !usher_store_find_host (store, fingerprint, host, error))
    return FALSE;
  if (!g_str_equal (name, host)) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_UNAUTHENTICATED, "the certificate's name is not its host's id");
    return FALSE;
  }
  g_strlcpy (call->host, host, sizeof call->host);
  call->audit_action = NULL;
  return TRUE;
}

gboolean
usher_guard_authorise (UsherCall *call, UsherStore *store, GError **error)
{
  switch (call->route->caller) {
  case USHER_CALLER_PERSON:
  case USHER_CALLER_ADMIN:
    return authorise_person (call, store, error);
  case USHER_CALLER_HOST:
    return authorise_host (call, store, error);
  case USHER_CALLER_ANYONE:
    break;
  }
  return TRUE;
}
