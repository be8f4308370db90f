#include "ctl/client.h"
#include "common/error.h"
#include "common/id.h"
#include "common/json.h"
#include <gio/gunixsocketaddress.h>
#include <libsoup/soup.h>
#include <string.h>

#define TIMEOUT_S 60
#define DOWNLOAD_PIECE (256 * 1024)
#define COOKIE "usher_session="

struct _UsherClient {
  SoupSession *session;
  char *base; /* https://HOST:PORT/api/v1 */
  char *token;
  GCancellable *cancellable; /* may be NULL */
};

void
usher_answer_clear (UsherAnswer *answer)
{
  g_clear_pointer (&answer->body, json_decref);
  g_clear_pointer (&answer->text, g_free);
  g_clear_pointer (&answer->token, g_free);
}

static gboolean
trust (UsherClient *client, const char *ca_file, GError **error)
{
  g_autoptr (GError) problem = NULL;
  g_autoptr (GTlsDatabase) database = NULL;
  g_autofree char *path = NULL;

  if (ca_file == NULL)
    return TRUE;
  path = g_canonicalize_filename (ca_file, NULL);
  database = g_tls_file_database_new (path, &problem);
  if (database == NULL) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "%s: %s", path, problem->message);
    return FALSE;
  }
  soup_session_set_tls_database (client->session, database);
  return TRUE;
}

UsherClient *
usher_client_new (const char *server, const char *ca_file, const char *token, GError **error)
{
  g_autoptr (UsherClient) client = g_new0 (UsherClient, 1);
  g_autoptr (GUri) uri = g_uri_parse (server, G_URI_FLAGS_NONE, NULL);

  client->token = g_strdup (token);
  if (g_str_has_prefix (server, "unix:/")) {
    g_autoptr (GSocketAddress) address = g_unix_socket_address_new (server + strlen ("unix:"));
    client->session = soup_session_new_with_options ("remote-connectable", address, NULL);
    client->base = g_strdup ("http://localhost/api/v1");
  } else if (uri != NULL && g_strcmp0 (g_uri_get_scheme (uri), "https") == 0 && g_uri_get_host (uri) != NULL && *g_uri_get_host (uri) != '\0' &&
             g_uri_get_userinfo (uri) == NULL && g_uri_get_query (uri) == NULL &&
             (*g_uri_get_path (uri) == '\0' || strcmp (g_uri_get_path (uri), "/") == 0)) {
    client->session = soup_session_new ();
    client->base = g_strdup_printf ("%.*s/api/v1", (int) (strlen (server) - g_str_has_suffix (server, "/")), server);
  } else {
    g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "«%s» is neither https://HOST[:PORT] nor unix:/PATH", server);
    return NULL;
  }
  soup_session_set_timeout (client->session, TIMEOUT_S);
  soup_session_set_user_agent (client->session, "usherctl ");
  return trust (client, ca_file, error) ? g_steal_pointer (&client) : NULL;
}

char *
usher_client_path (const char *first, ...)
{
  GString *path = g_string_new (NULL);
  va_list parts;

  va_start (parts, first);
  for (const char *part = first; part != NULL; part = va_arg (parts, const char *)) {
    g_string_append_c (path, '/');
    g_string_append_uri_escaped (path, part, NULL, FALSE);
  }
  va_end (parts);
  return g_string_free (path, FALSE);
}

static SoupMessage *
new_message (UsherClient *client, const char *method, const char *path)
{
  g_autofree char *uri = g_strconcat (client->base, path, NULL);
  SoupMessage *message = soup_message_new (method, uri);

  soup_message_add_flags (message, SOUP_MESSAGE_NO_REDIRECT);
  if (client->token != NULL) {
    g_autofree char *cookie = g_strconcat (COOKIE, client->token, NULL);
    soup_message_headers_replace (soup_message_get_request_headers (message), "Cookie", cookie);
  }
  return message;
}

static char *
find_token (SoupMessageHeaders *headers)
{
  const char *cookie = soup_message_headers_get_list (headers, "Set-Cookie");
  char token[USHER_TOKEN_SIZE];

  if (cookie == NULL || !g_str_has_prefix (cookie, COOKIE))
    return NULL;
  g_strlcpy (token, cookie + strlen (COOKIE), sizeof token);
  return usher_token_is_valid (token) ? g_strdup (token) : NULL;
}

static guint
retry_after_ms (SoupMessageHeaders *headers, const json_t *body)
{
  const char *text = soup_message_headers_get_one (headers, "Retry-After");
  gint64 ms = body != NULL ? usher_json_int (body, "retry_after_ms") : 0;
  guint64 seconds = 0;

  if (ms > 0)
    return (guint) MIN (ms, 60000);
  if (text == NULL || !g_ascii_string_to_unsigned (text, 10, 0, 60, &seconds, NULL))
    return 0;
  return (guint) seconds * 1000;
}

static UsherError
error_code_of (const char *name)
{
  for (int code = USHER_ERROR_INVALID; code <= USHER_ERROR_INTERNAL; code++)
    if (g_strcmp0 (usher_error_name (code), name) == 0)
      return code;
  return USHER_ERROR_UNAVAILABLE;
}

static gboolean
fail_as_told (guint status, const json_t *body, GError **error)
{
  const json_t *told = json_object_get (body, "error");
  const char *text = usher_json_string (told, "message");
  GString *message = g_string_new (NULL);
  json_t *reason;
  gsize i;

  if (*text != '\0')
    g_string_append (message, text);
  else
    g_string_append_printf (message, "the server answered %u without an explanation", status);
  json_array_foreach (json_object_get (told, "reasons"), i, reason)
    g_string_append_printf (message, "\n  %s: %s", usher_json_string (reason, "rule"), usher_json_string (reason, "message"));
  g_set_error_literal (error, USHER_ERROR, error_code_of (usher_json_string (told, "code")), message->str);
  g_string_free (message, TRUE);
  return FALSE;
}

static gboolean
fail_without_answer (UsherClient *client, GError *problem, GError **error)
{
  if (g_error_matches (problem, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
    g_propagate_error (error, problem);
    return FALSE;
  }
  g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "%s: %s", client->base, problem->message);
  g_error_free (problem);
  return FALSE;
}

/* `bytes` may be NULL with `problem` (taken). */
static gboolean
take_answer (UsherClient *client, SoupMessage *message, GBytes *bytes, GError *problem, UsherAnswer *out_answer, GError **error)
{
  SoupMessageHeaders *headers = soup_message_get_response_headers (message);
  const char *data;
  gsize length;

  if (bytes == NULL)
    return fail_without_answer (client, problem, error);
  data = g_bytes_get_data (bytes, &length);
  out_answer->status = soup_message_get_status (message);
  out_answer->text = g_strndup (data != NULL ? data : "", length);
  if (length > 0 && g_strcmp0 (soup_message_headers_get_content_type (headers, NULL), "application/json") == 0)
    out_answer->body = usher_json_parse (data, length, "the answer", NULL);
  out_answer->retry_after_ms = retry_after_ms (headers, out_answer->body);
  if (!SOUP_STATUS_IS_SUCCESSFUL (out_answer->status))
    return fail_as_told (out_answer->status, out_answer->body, error);
  out_answer->token = find_token (headers);
  return TRUE;
}

gboolean
usher_client_call (UsherClient *client, const char *method, const char *path, const json_t *body,
                   UsherAnswer *out_answer, GError **error)
{
  g_autoptr (SoupMessage) message = new_message (client, method, path);
  g_autoptr (GBytes) bytes = NULL;
  GError *problem = NULL;

  if (strcmp (method, "GET") != 0) {
    g_autofree char *line = body != NULL ? usher_json_to_line (body) : g_strdup ("");
    g_autoptr (GBytes) octets = g_bytes_new (line, strlen (line));
    soup_message_set_request_body_from_bytes (message, "application/json", octets);
  }
  bytes = soup_session_send_and_read (client->session, message, client->cancellable, &problem);
  return take_answer (client, message, bytes, problem, out_answer, error);
}

gboolean
usher_client_put (UsherClient *client, const char *path, GBytes *octets, UsherAnswer *out_answer, GError **error)
{
  g_autoptr (SoupMessage) message = new_message (client, "PUT", path);
  g_autoptr (GBytes) bytes = NULL;
  GError *problem = NULL;

  soup_message_set_request_body_from_bytes (message, "application/octet-stream", octets);
  bytes = soup_session_send_and_read (client->session, message, client->cancellable, &problem);
  return take_answer (client, message, bytes, problem, out_answer, error);
}

/* The whole body of an error's answer is small: read it and say it. */
static gboolean
fail_download (UsherClient *client, SoupMessage *message, GInputStream *stream, GError **error)
{
  g_autofree char *text = g_malloc (64 * 1024);
  gsize length = 0;
  json_auto_t *body = NULL;

  g_input_stream_read_all (stream, text, 64 * 1024, &length, client->cancellable, NULL);
  body = usher_json_parse (text, length, "the answer", NULL);
  return fail_as_told (soup_message_get_status (message), body, error);
}

/* Whether the answer begins at `offset`. */
static gboolean
begins_at (SoupMessage *message, guint64 offset)
{
  goffset start = -1, end, total;

  if (soup_message_get_status (message) == SOUP_STATUS_OK)
    return offset == 0;
  return soup_message_headers_get_content_range (soup_message_get_response_headers (message), &start, &end, &total) &&
         start >= 0 && (guint64) start == offset;
}

static gboolean
pass_on (UsherClient *client, GInputStream *stream, UsherClientSink sink, gpointer user_data, GError **error)
{
  g_autofree guint8 *buffer = g_malloc (DOWNLOAD_PIECE);
  GError *problem = NULL;
  gssize got;

  while ((got = g_input_stream_read (stream, buffer, DOWNLOAD_PIECE, client->cancellable, &problem)) > 0)
    if (!sink (buffer, (gsize) got, user_data, error))
      return FALSE;
  return got == 0 || fail_without_answer (client, problem, error);
}

gboolean
usher_client_download (UsherClient *client, const char *path, guint64 offset, UsherClientSink sink, gpointer user_data,
                       GError **error)
{
  g_autoptr (SoupMessage) message = new_message (client, "GET", path);
  g_autoptr (GInputStream) stream = NULL;
  GError *problem = NULL;

  if (offset > 0)
    soup_message_headers_set_range (soup_message_get_request_headers (message), (goffset) offset, -1);
  stream = soup_session_send (client->session, message, client->cancellable, &problem);
  if (stream == NULL)
    return fail_without_answer (client, problem, error);
  if (!SOUP_STATUS_IS_SUCCESSFUL (soup_message_get_status (message)))
    return fail_download (client, message, stream, error);
  if (begins_at (message, offset))
    return pass_on (client, stream, sink, user_data, error);
  g_set_error (error, USHER_ERROR, USHER_ERROR_CONFLICT, "the server does not give %s from byte %" G_GUINT64_FORMAT " on", path,
               offset);
  return FALSE;
}

void
usher_client_watch (UsherClient *client, GCancellable *cancellable, guint timeout_s)
{
  g_set_object (&client->cancellable, cancellable);
  soup_session_set_timeout (client->session, timeout_s > 0 ? timeout_s : TIMEOUT_S);
}

gboolean
usher_client_may_pass (const GError *error)
{
  return g_error_matches (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE) || g_error_matches (error, USHER_ERROR, USHER_ERROR_BUSY) ||
         g_error_matches (error, USHER_ERROR, USHER_ERROR_THROTTLED);
}

void
usher_client_free (UsherClient *client)
{
  if (client == NULL)
    return;
  g_clear_object (&client->session);
  g_clear_object (&client->cancellable);
  g_free (client->base);
  g_free (client->token);
  g_free (client);
}
