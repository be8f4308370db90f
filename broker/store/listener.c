#include "broker/store/listener.h"

#include <glib-unix.h>
#include <libpq-fe.h>

#include "broker/store/sql.h"
#include "common/log.h"

#define RETRY_FIRST_MS 200
#define RETRY_LONGEST_MS 5000
#define CONNECT_LIMIT_MS 5000

struct _UsherStoreListener {
  char *conninfo;
  UsherStoreChanged changed;
  gpointer user_data;
  GMainContext *context;
  PGconn *connection; /* NULL while waiting to try again */
  GSource *source;    /* its socket, or the wait */
  GSource *limit;     /* on connecting */
  guint retry_ms;
  gboolean up; /* LISTEN was answered */
};

static void connect_now (UsherStoreListener *listener);
static gboolean on_socket (int fd, GIOCondition condition, gpointer user_data);

static void
drop_source (GSource **source)
{
  if (*source == NULL)
    return;
  g_source_destroy (*source);
  g_source_unref (*source);
  *source = NULL;
}

static GSource *
attach (UsherStoreListener *listener, GSource *source, GSourceFunc func)
{
  g_source_set_callback (source, func, listener, NULL);
  g_source_attach (source, listener->context);
  return source;
}

/* The socket may be another one after each step of connecting. */
static void
watch (UsherStoreListener *listener, GIOCondition condition)
{
  drop_source (&listener->source);
  listener->source
      = attach (listener, g_unix_fd_source_new (PQsocket (listener->connection), condition), G_SOURCE_FUNC (on_socket));
}

static gboolean
on_retry (gpointer user_data)
{
  connect_now (user_data);
  return G_SOURCE_REMOVE;
}

static void
give_up (UsherStoreListener *listener, const char *why)
{
  if (listener->up || listener->retry_ms == RETRY_FIRST_MS)
    usher_log (USHER_LOG_WARNING, NULL, "the database's notices are not heard: %s", why);
  listener->up = FALSE;
  drop_source (&listener->limit);
  drop_source (&listener->source);
  g_clear_pointer (&listener->connection, PQfinish);
  listener->source = attach (listener, g_timeout_source_new (listener->retry_ms), on_retry);
  listener->retry_ms = MIN (listener->retry_ms * 2, RETRY_LONGEST_MS);
}

static void
give_up_connection (UsherStoreListener *listener)
{
  g_autofree char *why = g_strdelimit (g_strchomp (g_strdup (PQerrorMessage (listener->connection))), "\n", ' ');
  give_up (listener, why);
}

static gboolean
on_limit (gpointer user_data)
{
  give_up (user_data, "no connection in time");
  return G_SOURCE_REMOVE;
}

static void
connect_step (UsherStoreListener *listener)
{
  switch (PQconnectPoll (listener->connection))
    {
    case PGRES_POLLING_READING:
      watch (listener, G_IO_IN);
      break;
    case PGRES_POLLING_WRITING:
      watch (listener, G_IO_OUT);
      break;
    case PGRES_POLLING_OK:
      if (PQsetnonblocking (listener->connection, 1) != 0 || !PQsendQuery (listener->connection, "LISTEN usher"))
        give_up_connection (listener);
      else
        watch (listener, G_IO_IN);
      break;
    default:
      give_up_connection (listener);
    }
}

static guint
take_notices (PGconn *connection)
{
  guint kinds = 0;
  UsherKind kind;
  for (PGnotify *notice; (notice = PQnotifies (connection)) != NULL; PQfreemem (notice))
    kinds |= usher_kind_parse (notice->extra, &kind) ? USHER_KIND_BIT (kind) : 0;
  return kinds;
}

/* The answer to LISTEN. FALSE when it was given up. */
static gboolean
take_answer (UsherStoreListener *listener, guint *kinds)
{
  while (!PQisBusy (listener->connection))
    {
      g_autoptr (UsherRows) result = PQgetResult (listener->connection);
      if (result == NULL)
        break;
      if (PQresultStatus (result) != PGRES_COMMAND_OK)
        {
          give_up_connection (listener);
          return FALSE;
        }
      listener->up = TRUE;
      listener->retry_ms = RETRY_FIRST_MS;
      drop_source (&listener->limit);
      *kinds = USHER_KIND_ALL;
    }
  return TRUE;
}

static gboolean
on_socket (int fd, GIOCondition condition, gpointer user_data)
{
  UsherStoreListener *listener = user_data;
  guint kinds = 0;
  (void) fd, (void) condition;

  if (PQstatus (listener->connection) != CONNECTION_OK)
    {
      connect_step (listener);
      return G_SOURCE_CONTINUE; /* this source was replaced: GLib minds its being destroyed, not the answer */
    }
  if (PQflush (listener->connection) < 0 || !PQconsumeInput (listener->connection))
    {
      give_up_connection (listener);
      return G_SOURCE_CONTINUE;
    }
  if (!listener->up && !take_answer (listener, &kinds))
    return G_SOURCE_CONTINUE;
  kinds |= take_notices (listener->connection);
  if (kinds != 0 && listener->up)
    listener->changed (kinds, listener->user_data);
  return G_SOURCE_CONTINUE;
}

static void
connect_now (UsherStoreListener *listener)
{
  const char *keywords[USHER_SQL_KEYWORDS], *values[USHER_SQL_KEYWORDS];
  drop_source (&listener->source);
  usher_sql_connect_params (listener->conninfo, keywords, values);
  listener->connection = PQconnectStartParams (keywords, values, 1);
  if (listener->connection == NULL || PQstatus (listener->connection) == CONNECTION_BAD)
    {
      give_up_connection (listener);
      return;
    }
  listener->limit = attach (listener, g_timeout_source_new (CONNECT_LIMIT_MS), on_limit);
  watch (listener, G_IO_OUT);
}

UsherStoreListener *
usher_store_listener_new (const char *conninfo, UsherStoreChanged changed, gpointer user_data)
{
  UsherStoreListener *listener = g_new0 (UsherStoreListener, 1);
  listener->conninfo = g_strdup (conninfo);
  listener->changed = changed;
  listener->user_data = user_data;
  listener->context = g_main_context_ref_thread_default ();
  listener->retry_ms = RETRY_FIRST_MS;
  listener->source = attach (listener, g_idle_source_new (), on_retry);
  return listener;
}

gboolean
usher_store_listener_is_up (const UsherStoreListener *listener)
{
  return listener->up;
}

void
usher_store_listener_free (UsherStoreListener *listener)
{
  if (listener == NULL)
    return;
  drop_source (&listener->limit);
  drop_source (&listener->source);
  PQfinish (listener->connection);
  g_main_context_unref (listener->context);
  g_free (listener->conninfo);
  g_free (listener);
}
