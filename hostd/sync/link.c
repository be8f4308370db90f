#include "hostd/sync/link.h"

#include <libsoup/soup.h>

#include "common/error.h"

#define IDLE_S 60 /* a connection that was not used for so long is closed */

struct _UsherLink {
  GMainContext *context;
  SoupSession *session;
  GTlsCertificate *certificate;
  GUri *base;
};

static gboolean
invalid (GError **error, const char *what, const char *why)
{
  g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "%s: %s", what, why);
  return FALSE;
}

static gboolean
read_base (UsherLink *link, const char *url, GError **error)
{
  g_autoptr (GError) problem = NULL;
  link->base = g_uri_parse (url, SOUP_HTTP_URI_FLAGS, &problem);
  if (link->base == NULL)
    return invalid (error, url, problem->message);
  return g_str_equal (g_uri_get_scheme (link->base), "https") || invalid (error, url, "must begin with https://");
}

static gboolean
open_session (UsherLink *link, const UsherLinkConfig *config, guint timeout_s, GError **error)
{
  g_autoptr (GError) problem = NULL;
  link->certificate = g_tls_certificate_new_from_files (config->certificate, config->key, &problem);
  if (link->certificate == NULL)
    return invalid (error, config->certificate, problem->message);
  g_autoptr (GTlsDatabase) trusted = g_tls_file_database_new (config->ca, &problem);
  if (trusted == NULL)
    return invalid (error, config->ca, problem->message);
  link->session = soup_session_new_with_options ("tls-database", trusted, "timeout", timeout_s, "idle-timeout", IDLE_S,
                                                 "proxy-resolver", NULL, NULL); /* the broker is reached directly */
  return TRUE;
}

UsherLink *
usher_link_new (const UsherLinkConfig *config, guint timeout_s, GError **error)
{
  g_autoptr (UsherLink) link = g_new0 (UsherLink, 1);
  link->context = g_main_context_ref_thread_default ();
  if (!open_session (link, config, timeout_s, error) || !read_base (link, config->url, error))
    return NULL;
  return g_steal_pointer (&link);
}

SoupSession *
usher_link_get_session (const UsherLink *link)
{
  return link->session;
}

SoupMessage *
usher_link_message (const UsherLink *link, const char *method, const char *path)
{
  g_autoptr (GUri) full = g_uri_parse_relative (link->base, path, SOUP_HTTP_URI_FLAGS, NULL);
  SoupMessage *message = soup_message_new_from_uri (method, full);
  soup_message_set_tls_client_certificate (message, link->certificate);
  return message;
}

/* ---- blocking ---- */

static void
on_result (GObject *source, GAsyncResult *result, gpointer user_data)
{
  GAsyncResult **out = user_data;
  *out = g_object_ref (result);
}

static void
run_until (const UsherLink *link, GAsyncResult *const *result)
{
  while (*result == NULL)
    g_main_context_iteration (link->context, TRUE);
}

GInputStream *
usher_link_send (const UsherLink *link, SoupMessage *message, GCancellable *cancellable, GError **error)
{
  g_autoptr (GAsyncResult) result = NULL;
  soup_session_send_async (link->session, message, G_PRIORITY_DEFAULT, cancellable, on_result, &result);
  run_until (link, &result);
  return soup_session_send_finish (link->session, result, error);
}

gboolean
usher_link_read (const UsherLink *link, GInputStream *body, void *buffer, gsize size, gsize *out_length,
                 GCancellable *cancellable, GError **error)
{
  g_autoptr (GAsyncResult) result = NULL;
  g_input_stream_read_all_async (body, buffer, size, G_PRIORITY_DEFAULT, cancellable, on_result, &result);
  run_until (link, &result);
  return g_input_stream_read_all_finish (body, result, out_length, error);
}

/* ---- end ---- */

void
usher_link_free (UsherLink *link)
{
  g_clear_object (&link->session);
  g_clear_object (&link->certificate);
  g_clear_pointer (&link->base, g_uri_unref);
  g_main_context_unref (link->context);
  g_free (link);
}
