/* The SoupServers behind the three listeners: from a request's head to its handler. */
#include "broker/api/api_private.h"
#include "broker/api/call_private.h"
#include "broker/api/cookie.h"
#include "broker/api/error_body.h"
#include "broker/api/guard.h"
#include "broker/api/handlers.h"
#include "broker/api/listeners.h"
#include "common/error.h"

#define PARKED_MAX 8192
#define GATHER_MS 20
#define DRAIN_S 10
#define FLUSH_MS 100 /* for the last answers to leave */

static UsherListener
listener_of (UsherApi *api, SoupServer *server)
{
  for (int i = 0; i < 3; i++)
    if (api->servers[i] == server)
      return (UsherListener) i;
  g_return_val_if_reached (USHER_LISTENER_API);
}

/* Refuses on the head what must not be read; libsoup then drops the body as it comes. */
static void
on_head (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query, gpointer user_data)
{
  UsherApi *api = user_data;
  g_autoptr (GError) error = NULL;
  if (usher_guard_head (message, &error))
    return;
  soup_message_body_set_accumulate (soup_server_message_get_request_body (message), FALSE);
  soup_message_headers_replace (soup_server_message_get_response_headers (message), "Connection", "close");
  g_autoptr (UsherCall) call = usher_call_new (api, listener_of (api, server), message);
  call->gone = TRUE; /* not paused: libsoup sends the answer by itself */
  api->calls++;
  usher_call_finish (call, error);
}

static gboolean
find_route (UsherCall *call, UsherListener listener, GError **error)
{
  g_autofree char *allowed = NULL;
  const char *path = g_uri_get_path (soup_server_message_get_uri (call->message));
  call->route = usher_route_find (usher_routes, listener, soup_server_message_get_method (call->message), path,
                                  &call->params, &allowed, error);
  if (call->route == NULL && allowed != NULL) {
    call->status = SOUP_STATUS_METHOD_NOT_ALLOWED;
    usher_call_set_header (call, "Allow", allowed);
  }
  return call->route != NULL;
}

#define PEER_KEY "usher-peer-certificate"

/* libsoup gives the certificate to a connection's first message only, so it is kept with the socket. */
static void
take_peer_certificate (UsherCall *call)
{
  GSocket *socket = soup_server_message_get_socket (call->message);
  call->peer_pem = socket != NULL ? g_strdup (g_object_get_data (G_OBJECT (socket), PEER_KEY)) : NULL;
}

static gboolean
begin (UsherCall *call, UsherListener listener, GError **error)
{
  if (!find_route (call, listener, error))
    return FALSE;
  if (call->api->draining) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "the broker is going down for a restart");
    return FALSE;
  }
  if (!call->api->ready && call->route->begin != usher_static_begin && call->route->begin != usher_health_begin) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "the database is not ready");
    return FALSE;
  }
  if (!usher_guard_request (call, error))
    return FALSE;
  if (call->route->caller == USHER_CALLER_HOST)
    take_peer_certificate (call);
  if (call->route->begin != NULL)
    return call->route->begin (call, error);
  return usher_call_run (call, call->route->step, error);
}

static void
on_disconnected (SoupServerMessage *message, gpointer user_data)
{
  UsherCall *call = user_data;
  call->gone = TRUE;
}

static void
on_request (SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query, gpointer user_data)
{
  UsherApi *api = user_data;
  UsherListener listener = listener_of (api, server);
  g_autoptr (UsherCall) call = usher_call_new (api, listener, message);
  g_autoptr (GError) error = NULL;
  call->hang_up = g_signal_connect_data (message, "disconnected", G_CALLBACK (on_disconnected), usher_call_ref (call),
                                         (GClosureNotify) (void (*) (void)) usher_call_unref, 0);
  api->calls++;
  soup_server_message_pause (message);
  if (!begin (call, listener, &error))
    usher_call_finish (call, error);
}

static SoupServer *
server_new (UsherApi *api)
{
  SoupServer *server = soup_server_new ("server-header", "usher", "raw-paths", TRUE, NULL);
  soup_server_add_early_handler (server, NULL, on_head, api, NULL);
  soup_server_add_handler (server, NULL, on_request, api, NULL);
  return server;
}

static const char *
setting (const UsherApi *api, const char *section, const char *key)
{
  return usher_settings_get_string (api->parts.settings, section, key);
}

/* Where people and viewers reach the gateways, out of public_url. */
static gboolean
read_public_url (UsherApi *api, GError **error)
{
  const char *url = setting (api, "broker", "public_url");
  api->public_origin = usher_origin_of (url);
  if (api->public_origin == NULL || !g_str_has_prefix (api->public_origin, "https://")) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "[broker] public_url: «%s» is not https://HOST[:PORT]", url);
    return FALSE;
  }
  g_autoptr (GUri) uri = g_uri_parse (api->public_origin, G_URI_FLAGS_NONE, NULL);
  api->gateway_host = g_strdup (g_uri_get_host (uri));
  api->gateway_port = g_uri_get_port (uri) > 0 ? (guint) g_uri_get_port (uri) : 443;
  const char *sockets = api->public_origin + strlen ("https");
  api->content_security_policy = g_strdup_printf (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self' wss%s; "
    "media-src 'self' blob:; manifest-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'", sockets);
  return TRUE;
}

/* The gateway's certificates for viewer files: all optional. */
static gboolean
read_gateway_certificates (UsherApi *api, GError **error)
{
  const char *ca = setting (api, "broker", "gateway_ca");
  const char *certificate = setting (api, "broker", "gateway_certificate");
  g_autoptr (GError) local = NULL;
  g_autofree char *pem = NULL;
  if ((ca[0] != '\0' && !g_file_get_contents (ca, &api->gateway_ca, NULL, &local))
      || (certificate[0] != '\0' && !g_file_get_contents (certificate, &pem, NULL, &local))) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "[broker] gateway_ca or gateway_certificate: %s", local->message);
    return FALSE;
  }
  if (pem == NULL)
    return TRUE;
  api->gateway_subject = usher_certificate_dup_subject (pem, error);
  return api->gateway_subject != NULL;
}

UsherApi *
usher_api_new (const UsherApiParts *parts, GError **error)
{
  g_autoptr (UsherApi) api = g_new0 (UsherApi, 1);
  api->parts = *parts;
  api->health = usher_health_new ();
  guint lanes = 2 * (guint) usher_settings_get_int (parts->settings, "database", "workers");
  api->waiters = usher_waiters_new (PARKED_MAX, GATHER_MS, lanes, usher_call_wake);
  if (!read_public_url (api, error) || !read_gateway_certificates (api, error))
    return NULL;
  for (int i = 0; i < 3; i++)
    api->servers[i] = server_new (api);
  return g_steal_pointer (&api);
}

static gboolean
listen_unix (UsherApi *api, UsherListener listener, const char *key, GError **error)
{
  gint64 mode = g_ascii_strtoll (setting (api, "broker", "socket_mode"), NULL, 8);
  g_autoptr (GSocket) socket = usher_listen_unix (setting (api, "broker", key), (int) mode,
                                                  setting (api, "broker", "socket_group"), error);
  return socket != NULL && soup_server_listen_socket (api->servers[listener], socket, 0, error);
}

/* libsoup asks about every client certificate, a good one included, and takes none when nobody answers. */
static gboolean
on_certificate (SoupServerMessage *message, GTlsCertificate *certificate, GTlsCertificateFlags faults, gpointer user_data)
{
  char *pem = NULL;
  GSocket *socket = soup_server_message_get_socket (message);
  if (faults != 0 || socket == NULL)
    return FALSE;
  g_object_get (certificate, "certificate-pem", &pem, NULL);
  g_object_set_data_full (G_OBJECT (socket), PEER_KEY, pem, g_free);
  return TRUE;
}

static void
on_started (SoupServer *server, SoupServerMessage *message, gpointer user_data)
{
  g_signal_connect (message, "accept-certificate", G_CALLBACK (on_certificate), NULL);
}

/* Mutual TLS: no connection without a certificate that our CA signed. */
static gboolean
require_certificates (UsherApi *api, GError **error)
{
  g_autoptr (GError) local = NULL;
  g_autoptr (GTlsCertificate) ours = g_tls_certificate_new_from_files (setting (api, "hosts", "certificate"),
                                                                       setting (api, "hosts", "key"), &local);
  g_autoptr (GTlsDatabase) trusted = NULL;
  if (ours != NULL)
    trusted = g_tls_file_database_new (setting (api, "hosts", "ca_certificate"), &local);
  if (trusted == NULL) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "[hosts] certificate, key or ca_certificate: %s", local->message);
    return FALSE;
  }
  g_object_set (api->servers[USHER_LISTENER_HOST], "tls-certificate", ours, "tls-database", trusted, "tls-auth-mode",
                G_TLS_AUTHENTICATION_REQUIRED, NULL);
  g_signal_connect (api->servers[USHER_LISTENER_HOST], "request-started", G_CALLBACK (on_started), NULL);
  return TRUE;
}

static gboolean
listen_hosts (UsherApi *api, GError **error)
{
  const char *address = setting (api, "hosts", "listen");
  if (!require_certificates (api, error))
    return FALSE;
  g_autoptr (GSocket) socket = usher_listen_tcp (address, error);
  return socket != NULL
         && soup_server_listen_socket (api->servers[USHER_LISTENER_HOST], socket, SOUP_SERVER_LISTEN_HTTPS, error);
}

gboolean
usher_api_listen (UsherApi *api, GError **error)
{
  return listen_unix (api, USHER_LISTENER_API, "api_socket", error)
         && listen_unix (api, USHER_LISTENER_GATEWAY, "gateway_socket", error) && listen_hosts (api, error);
}

void
usher_api_set_ready (UsherApi *api, gboolean ready)
{
  api->ready = ready;
}

void
usher_api_notify (UsherApi *api, guint kinds)
{
  usher_waiters_notify (api->waiters, kinds);
}

static void
tell_drained (UsherApi *api)
{
  if (api->drained != NULL)
    g_timeout_add (FLUSH_MS, g_steal_pointer (&api->drained), api->drained_data);
}

void
usher_api_call_ended (UsherApi *api, UsherCall *call, const GError *error)
{
  api->calls--;
  if (call->hang_up != 0)
    g_signal_handler_disconnect (call->message, call->hang_up);
  call->hang_up = 0;
  if (error != NULL)
    usher_refusals_note (api, call, error);
  if (api->draining && api->calls == 0)
    tell_drained (api);
}

static gboolean
drained_too_slowly (gpointer data)
{
  UsherApi *api = data;
  usher_log (USHER_LOG_WARNING, NULL, "%u calls did not end within %d s", api->calls, DRAIN_S);
  tell_drained (api);
  return G_SOURCE_REMOVE;
}

void
usher_api_drain (UsherApi *api, GSourceFunc drained, gpointer user_data)
{
  api->draining = TRUE;
  api->drained = drained;
  api->drained_data = user_data;
  usher_waiters_release (api->waiters);
  if (api->calls == 0)
    tell_drained (api);
  else
    g_timeout_add_seconds (DRAIN_S, drained_too_slowly, api);
}

void
usher_api_free (UsherApi *api)
{
  if (api == NULL)
    return;
  for (int i = 0; i < 3; i++)
    if (api->servers[i] != NULL)
      soup_server_disconnect (api->servers[i]);
  for (int i = 0; i < 3; i++)
    g_clear_object (&api->servers[i]);
  usher_waiters_free (api->waiters);
  usher_health_free (api->health);
  g_free (api->content_security_policy);
  g_free (api->public_origin);
  g_free (api->gateway_host);
  g_free (api->gateway_ca);
  g_free (api->gateway_subject);
  g_free (api);
}
