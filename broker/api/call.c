#include "broker/api/call.h"
#include <string.h>
#include "broker/api/call_private.h"
#include "broker/api/cookie.h"
#include "common/error.h"
#include "common/id.h"

/* What the gateway says about its client is believed on the API socket alone, which only gateways reach; a
 * host's address is its connection's. */
static char *
client_address (UsherCall *call, UsherListener listener)
{
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (call->message);
  const char *told = soup_message_headers_get_one (headers, "X-Usher-Client");
  GSocketAddress *peer = soup_server_message_get_remote_address (call->message);
  if (listener == USHER_LISTENER_API && told != NULL && g_hostname_is_ip_address (told))
    return g_strdup (told);
  if (peer != NULL && G_IS_INET_SOCKET_ADDRESS (peer))
    return g_inet_address_to_string (g_inet_socket_address_get_address (G_INET_SOCKET_ADDRESS (peer)));
  return g_strdup ("local");
}

static void
read_head (UsherCall *call, UsherListener listener)
{
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (call->message);
  const char *request = soup_message_headers_get_one (headers, "X-Usher-Request");
  call->request = usher_id_is_valid (request) ? g_strdup (request) : usher_id_new ();
  call->client = client_address (call, listener);
  call->has_token = listener == USHER_LISTENER_API
                    && usher_cookie_find (soup_message_headers_get_list (headers, "Cookie"), call->token);
}

UsherCall *
usher_call_new (UsherApi *api, UsherListener listener, SoupServerMessage *message)
{
  UsherCall *call = g_new0 (UsherCall, 1);
  g_atomic_ref_count_init (&call->refs);
  call->api = api;
  call->message = g_object_ref (message);
  call->head = g_str_equal (soup_server_message_get_method (message), "HEAD");
  call->began_us = g_get_monotonic_time ();
  call->retry_after_s = 5;
  read_head (call, listener);
  const char *query = g_uri_get_query (soup_server_message_get_uri (message));
  if (query != NULL)
    call->query = g_uri_parse_params (query, -1, "&", G_URI_PARAMS_WWW_FORM, NULL);
  return call;
}

UsherCall *
usher_call_ref (UsherCall *call)
{
  g_atomic_ref_count_inc (&call->refs);
  return call;
}

void
usher_call_unref (UsherCall *call)
{
  if (!g_atomic_ref_count_dec (&call->refs))
    return;
  if (call->free_data != NULL)
    call->free_data (call->data);
  g_clear_object (&call->message);
  g_strfreev (call->params);
  g_clear_pointer (&call->query, g_hash_table_unref);
  json_decref (call->body);
  g_clear_pointer (&call->octets, g_bytes_unref);
  g_free (call->request);
  g_free (call->client);
  g_free (call->peer_pem);
  g_clear_pointer (&call->signed_in, usher_signed_in_free);
  g_clear_pointer (&call->bytes, g_bytes_unref);
  json_decref (call->reasons);
  g_clear_pointer (&call->headers, g_ptr_array_unref);
  g_free (call);
}

UsherApi *
usher_call_get_api (UsherCall *call)
{
  return call->api;
}

const UsherRoute *
usher_call_get_route (UsherCall *call)
{
  return call->route;
}

const char *
usher_call_get_param (UsherCall *call, guint index)
{
  g_return_val_if_fail (call->params != NULL && index < g_strv_length (call->params), NULL);
  return call->params[index];
}

const char *
usher_call_get_query (UsherCall *call, const char *name)
{
  return call->query != NULL ? g_hash_table_lookup (call->query, name) : NULL;
}

gboolean
usher_call_find_query_int (UsherCall *call, const char *name, gint64 min, gint64 max, gint64 *out, GError **error)
{
  const char *text = usher_call_get_query (call, name);
  gint64 value = 0;
  if (text == NULL)
    return TRUE;
  if (!g_ascii_string_to_signed (text, 10, min, max, &value, NULL)) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID,
                 "query %s: must be a number from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT, name, min, max);
    return FALSE;
  }
  *out = value;
  return TRUE;
}

UsherJson
usher_call_get_body (UsherCall *call)
{
  if (call->body == NULL)
    call->body = json_object ();
  return (UsherJson){ .object = call->body, .path = "body" };
}

GBytes *
usher_call_get_octets (UsherCall *call)
{
  if (call->octets == NULL)
    call->octets = g_bytes_new (NULL, 0);
  return call->octets;
}

const char *
usher_call_get_header (UsherCall *call, const char *name)
{
  return soup_message_headers_get_one (soup_server_message_get_request_headers (call->message), name);
}

json_t *
usher_call_take_body (UsherCall *call)
{
  return g_steal_pointer (&call->body);
}

const char *
usher_call_get_client (UsherCall *call)
{
  return call->client;
}

const char *
usher_call_get_request_id (UsherCall *call)
{
  return call->request;
}

const UsherSignedIn *
usher_call_get_signed_in (UsherCall *call)
{
  return call->signed_in;
}

UsherActor
usher_call_get_actor (UsherCall *call)
{
  const char *name = call->signed_in != NULL ? call->signed_in->user : usher_call_get_host (call);
  return (UsherActor){ .name = name, .address = call->client, .request = call->request };
}

const char *
usher_call_get_host (UsherCall *call)
{
  return call->host[0] != '\0' ? call->host : NULL;
}

const char *
usher_call_get_token (UsherCall *call)
{
  return call->has_token ? call->token : NULL;
}

UsherLogContext
usher_call_log_context (UsherCall *call)
{
  return (UsherLogContext){ .request = call->request,
                            .address = call->client,
                            .user = call->signed_in != NULL ? call->signed_in->user : NULL,
                            .host = usher_call_get_host (call) };
}

void
usher_call_set_data (UsherCall *call, gpointer data, GDestroyNotify destroy)
{
  if (call->free_data != NULL)
    call->free_data (call->data);
  call->data = data;
  call->free_data = destroy;
}

gpointer
usher_call_get_data (UsherCall *call)
{
  return call->data;
}

void
usher_call_set_next (UsherCall *call, UsherBegin next)
{
  call->next = next;
}

void
usher_call_wait (UsherCall *call, guint topics, guint wait_ms)
{
  if (call->wait_until_us == 0)
    call->wait_until_us = g_get_monotonic_time () + (gint64) wait_ms * 1000;
  call->wait_topics = topics;
}

gboolean
usher_call_is_last_look (UsherCall *call)
{
  return call->last_look;
}

void
usher_call_answer_bytes (UsherCall *call, guint status, const char *type, GBytes *bytes)
{
  g_clear_pointer (&call->bytes, g_bytes_unref);
  call->answered = TRUE;
  call->status = status;
  call->type = type;
  call->bytes = bytes;
}

void
usher_call_answer (UsherCall *call, guint status, json_t *body)
{
  char *line = usher_json_to_line (body);
  json_decref (body);
  usher_call_answer_bytes (call, status, "application/json", g_bytes_new_take (line, strlen (line)));
}

void
usher_call_answer_empty (UsherCall *call, guint status)
{
  usher_call_answer_bytes (call, status, NULL, NULL);
}

gboolean
usher_call_is_answered (UsherCall *call)
{
  return call->answered;
}

void
usher_call_set_header (UsherCall *call, const char *name, const char *value)
{
  if (call->headers == NULL)
    call->headers = g_ptr_array_new_with_free_func (g_free);
  g_ptr_array_add (call->headers, g_strdup (name));
  g_ptr_array_add (call->headers, g_strdup (value));
}

void
usher_call_add_reason (UsherCall *call, const char *rule, const char *message)
{
  if (call->reasons == NULL)
    call->reasons = json_array ();
  json_array_append_new (call->reasons, json_pack ("{s:s, s:s}", "rule", rule, "message", message));
}

void
usher_call_add_reasons (UsherCall *call, const json_t *reasons)
{
  size_t i;
  json_t *one;
  json_array_foreach ((json_t *) reasons, i, one)
    usher_call_add_reason (call, usher_json_string (one, "rule"), usher_json_string (one, "message"));
}

void
usher_call_set_retry_after (UsherCall *call, guint seconds)
{
  call->retry_after_s = seconds;
}

void
usher_call_audit_refusal (UsherCall *call, const char *action)
{
  call->audit_action = action;
}

void
usher_call_set_refusal_floor (UsherCall *call, guint ms)
{
  call->refusal_floor_ms = ms;
}
