#include "gateway/edge/upgrade.h"
#include <string.h>
#include "common/error.h"
#include "gateway/ws/ws_stream.h"

#define PATH "/spice"
#define KEY_MAX 64
#define PROTOCOL "binary"

gboolean
usher_upgrade_is_wanted (const UsherHttpRequest *request)
{
  const char *target = usher_http_request_target (request);
  const gsize length = strlen (PATH);
  return strncmp (target, PATH, length) == 0 && (target[length] == '\0' || target[length] == '?');
}

static gboolean
check_handshake (const UsherHttpRequest *request, GError **error)
{
  const char *version = usher_http_request_header (request, "Sec-WebSocket-Version");
  const char *key = usher_http_request_header (request, "Sec-WebSocket-Key"), *wrong = NULL;
  if (strcmp (usher_http_request_method (request), "GET") != 0 || usher_http_request_body_length (request) > 0)
    wrong = "a WebSocket begins with a GET without body";
  else if (!usher_http_request_has_token (request, "Upgrade", "websocket")
           || !usher_http_request_has_token (request, "Connection", "Upgrade"))
    wrong = "this address is a WebSocket; the request does not ask to upgrade";
  else if (version == NULL || strcmp (version, "13") != 0)
    wrong = "want Sec-WebSocket-Version 13";
  else if (key == NULL || *key == '\0' || strlen (key) > KEY_MAX)
    wrong = "want one Sec-WebSocket-Key";
  if (wrong != NULL)
    g_set_error_literal (error, USHER_ERROR, USHER_ERROR_INVALID, wrong);
  return wrong == NULL;
}

char *
usher_origin_of_url (const char *url, GError **error)
{
  g_autoptr (GError) local = NULL;
  g_autoptr (GUri) uri = g_uri_parse (url, G_URI_FLAGS_NONE, &local);
  if (uri == NULL || strcmp (g_uri_get_scheme (uri), "https") != 0 || g_uri_get_host (uri) == NULL)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "\"%s\" is not an https address", url);
      return NULL;
    }
  const int port = g_uri_get_port (uri);
  const char *host = g_uri_get_host (uri);
  const gboolean v6 = strchr (host, ':') != NULL;
  g_autofree char *place = g_strdup_printf ("https://%s%s%s", v6 ? "[" : "", host, v6 ? "]" : "");
  g_autofree char *whole = port > 0 && port != 443 ? g_strdup_printf ("%s:%d", place, port) : g_strdup (place);
  return g_ascii_strdown (whole, -1);
}

static gboolean
check_origin (const UsherHttpRequest *request, const char *origin, GError **error)
{
  const char *sent = usher_http_request_header (request, "Origin");
  if (!usher_http_request_has (request, "Origin"))
    return TRUE;
  g_autofree char *theirs = sent != NULL ? usher_origin_of_url (sent, NULL) : NULL;
  if (theirs != NULL && strcmp (theirs, origin) == 0)
    return TRUE;
  g_set_error_literal (error, USHER_ERROR, USHER_ERROR_REFUSED, "the WebSocket is asked for by a page of another origin");
  return FALSE;
}

char *
usher_upgrade_answer (const UsherHttpRequest *request, const char *origin, GError **error)
{
  if (!check_handshake (request, error) || !check_origin (request, origin, error))
    return NULL;
  g_autofree char *accept = usher_ws_accept_key (usher_http_request_header (request, "Sec-WebSocket-Key"));
  const gboolean binary = usher_http_request_has_token (request, "Sec-WebSocket-Protocol", PROTOCOL);
  return g_strdup_printf ("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                          "Sec-WebSocket-Accept: %s\r\n%s\r\n",
                          accept, binary ? "Sec-WebSocket-Protocol: " PROTOCOL "\r\n" : "");
}
