#include "gateway/edge/server.h"
#include <string.h>
#include "common/log.h"
#include "gateway/spice/channel.h"

#define SNIFF 4 /* "REDQ" */

struct _UsherServer {
  UsherServerOptions options;
  UsherListener *listener;
  GHashTable *connections; /* set of Connection */
  GHashTable *addresses;   /* text → number of connections */
  UsherServerDrained drained;
  gpointer drained_data;
  UsherTimer drain_timer;
  gboolean draining;
};

/* A client's connection: TLS and the first bytes, then exactly one of http and channel has its stream. */
typedef struct {
  UsherServer *server;
  char *address;
  UsherStream *stream; /* NULL once handed on */
  gboolean shaken;
  UsherTimer timer;
  UsherHttp *http;
  UsherSpiceChannel *channel;
} Connection;

static void
free_connection (gpointer data)
{
  Connection *c = data;
  g_free (c->address);
  g_free (c);
}

static void
count_address (UsherServer *server, const char *address, int by)
{
  const int count = GPOINTER_TO_INT (g_hash_table_lookup (server->addresses, address)) + by;
  if (count > 0)
    g_hash_table_insert (server->addresses, g_strdup (address), GINT_TO_POINTER (count));
  else
    g_hash_table_remove (server->addresses, address);
}

static void
close_connection (Connection *c)
{
  UsherServer *server = c->server;
  UsherLoop *loop = server->options.loop;
  if (!g_hash_table_remove (server->connections, c))
    return;
  usher_timer_disarm (loop, &c->timer);
  g_clear_pointer (&c->http, usher_http_free);
  g_clear_pointer (&c->stream, usher_stream_free);
  count_address (server, c->address, -1);
  usher_loop_bury (loop, c, free_connection);
  if (server->draining && g_hash_table_size (server->connections) == 0 && server->drained != NULL)
    {
      UsherServerDrained drained = server->drained;
      server->drained = NULL;
      usher_timer_disarm (loop, &server->drain_timer);
      drained (server->drained_data);
    }
}

static void
on_timeout (gpointer user_data)
{
  close_connection (user_data);
}

static void
on_channel_done (gpointer user_data)
{
  Connection *c = user_data;
  c->channel = NULL; /* it frees itself */
  close_connection (c);
}

static void
on_http_done (UsherStream *upgraded, gpointer user_data)
{
  Connection *c = user_data;
  if (upgraded == NULL)
    {
      close_connection (c);
      return;
    }
  g_clear_pointer (&c->http, usher_http_free);
  c->channel = usher_spice_channel_new (c->server->options.spice, upgraded, c->address, "websocket", on_channel_done, c);
}

/* --- handshake and first bytes --------------------------------------------------------------------- */

static void
hand_on (Connection *c, const guint8 *bytes, gsize length)
{
  const UsherServerOptions *options = &c->server->options;
  UsherStream *stream = g_steal_pointer (&c->stream);
  usher_timer_disarm (options->loop, &c->timer);
  usher_stream_unread (stream, bytes, length);
  if (memcmp (bytes, "REDQ", SNIFF) == 0)
    c->channel = usher_spice_channel_new (options->spice, stream, c->address, "tls", on_channel_done, c);
  else
    c->http = usher_http_new (options->http, stream, c->address, on_http_done, c);
}

/* TRUE: the handshake is done. */
static gboolean
shake (Connection *c)
{
  if (c->shaken)
    return TRUE;
  const gssize r = usher_tls_stream_handshake (c->stream);
  if (r == USHER_IO_FAILED)
    {
      const UsherLogContext context = { .address = c->address };
      usher_log (USHER_LOG_DEBUG, &context, "%s", usher_stream_reason (c->stream));
      close_connection (c);
    }
  c->shaken = r == 0;
  return c->shaken;
}

static void
on_ready (gpointer user_data)
{
  Connection *c = user_data;
  guint8 bytes[SNIFF];
  if (!shake (c))
    return;
  gsize have = 0;
  while (have < SNIFF)
    {
      const gssize n = usher_stream_read (c->stream, bytes + have, SNIFF - have);
      if (n == USHER_IO_END || n == USHER_IO_FAILED)
        {
          close_connection (c);
          return;
        }
      if (n < 0)
        break;
      have += (gsize) n;
    }
  if (have == SNIFF)
    hand_on (c, bytes, have);
  else
    usher_stream_unread (c->stream, bytes, have); /* looked at again with what follows */
}

static gboolean
has_room (UsherServer *server, const char *address)
{
  static gint64 logged_at_us; /* a flood shall not flood the log */
  const UsherServerOptions *options = &server->options;
  const guint here = (guint) GPOINTER_TO_INT (g_hash_table_lookup (server->addresses, address));
  const guint all = g_hash_table_size (server->connections);
  if (all < options->connections_max && here < options->connections_per_address)
    return TRUE;
  if (g_get_monotonic_time () - logged_at_us > G_USEC_PER_SEC)
    {
      const UsherLogContext context = { .address = address };
      usher_log (USHER_LOG_WARNING, &context, "turned away: %u connections are open, %u from this address", all, here);
      logged_at_us = g_get_monotonic_time ();
    }
  return FALSE;
}

static void
on_accepted (int fd, const UsherAddress *peer, gpointer user_data)
{
  UsherServer *server = user_data;
  const UsherServerOptions *options = &server->options;
  g_autofree char *address = usher_address_host (peer);
  g_autoptr (GError) error = NULL;
  UsherStream *stream = usher_tls_stream_new (options->tls, options->loop, fd, NULL, &error);
  if (stream == NULL || !has_room (server, address))
    {
      if (error != NULL)
        usher_log (USHER_LOG_ERROR, NULL, "accept: %s", error->message);
      usher_stream_free (stream);
      return;
    }
  Connection *c = g_new0 (Connection, 1);
  c->server = server;
  c->stream = stream;
  c->address = g_steal_pointer (&address);
  count_address (server, c->address, 1);
  g_hash_table_add (server->connections, c);
  usher_stream_set_ready (stream, on_ready, c);
  usher_timer_arm (options->loop, &c->timer, options->handshake_ms, on_timeout, c);
}

/* --- the whole -------------------------------------------------------------------------------------------- */

UsherServer *
usher_server_new (const UsherServerOptions *options, GError **error)
{
  g_autoptr (UsherServer) server = g_new0 (UsherServer, 1);
  server->options = *options;
  server->connections = g_hash_table_new (NULL, NULL);
  server->addresses = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  server->listener = usher_listener_new (options->loop, &options->listen, 0600, on_accepted, server, error);
  return server->listener != NULL ? g_steal_pointer (&server) : NULL;
}

guint
usher_server_port (const UsherServer *server)
{
  return usher_listener_port (server->listener);
}

/* Closes those for which `wanted` holds. */
static void
close_where (UsherServer *server, gboolean (*wanted) (const Connection *), const char *reason)
{
  g_autoptr (GList) all = g_hash_table_get_keys (server->connections);
  for (GList *l = all; l != NULL; l = l->next)
    {
      Connection *c = l->data;
      /* One's end may end others: a main channel's session. */
      if (!g_hash_table_contains (server->connections, c) || !wanted (c))
        continue;
      if (c->channel != NULL)
        usher_spice_channel_end (c->channel, reason);
      else
        close_connection (c);
    }
}

static gboolean
is_idle (const Connection *c)
{
  if (c->channel != NULL)
    return !usher_spice_channel_is_linked (c->channel);
  return c->http == NULL || !usher_http_is_busy (c->http);
}

static gboolean
is_any (const Connection *c)
{
  return TRUE;
}

static void
end_all (gpointer user_data)
{
  close_where (user_data, is_any, "gateway draining");
}

void
usher_server_drain (UsherServer *server, guint ms, UsherServerDrained drained, gpointer user_data)
{
  if (server->draining)
    {
      end_all (server);
      return;
    }
  server->draining = TRUE;
  server->drained = drained;
  server->drained_data = user_data;
  server->options.http->draining = TRUE;
  g_clear_pointer (&server->listener, usher_listener_free);
  usher_timer_arm (server->options.loop, &server->drain_timer, ms, end_all, server);
  usher_log (USHER_LOG_NOTICE, NULL, "draining: %u sessions", usher_spice_sessions_count (server->options.spice->sessions));
  close_where (server, is_idle, "gateway draining");
  if (g_hash_table_size (server->connections) == 0 && server->drained != NULL)
    {
      server->drained = NULL;
      drained (user_data);
    }
}

void
usher_server_free (UsherServer *server)
{
  if (server == NULL)
    return;
  server->drained = NULL;
  g_clear_pointer (&server->listener, usher_listener_free);
  usher_timer_disarm (server->options.loop, &server->drain_timer);
  if (server->connections != NULL)
    close_where (server, is_any, "gateway stopped");
  g_clear_pointer (&server->connections, g_hash_table_unref);
  g_clear_pointer (&server->addresses, g_hash_table_unref);
  g_free (server);
}
