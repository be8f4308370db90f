#include "hostd/door/door.h"
#include <string.h>
#include "common/error.h"
#include "common/fault.h"
#include "common/json.h"
#include "common/log.h"
#include "common/relay/relay.h"
#include "common/rpc/door.h"
#include "common/secret.h"

#define HALF_CLOSED_MS 30000
#define BLOCKS_KEPT 64

struct _UsherDoor {
  UsherLoop *loop;
  UsherDoorOptions options;
  char *consoles, *identity, *grant_key;
  UsherListener *listener;
  UsherPool *pool;
  GHashTable *connections; /* set of Connection */
};

typedef enum {
  STATE_GREETING, /* reading the greeting */
  STATE_REACHING, /* connecting to the desktop */
  STATE_ANSWERING, /* the answer goes out; then the relay, or the end */
  STATE_RELAYING,
  STATE_OVER,
} State;

typedef struct {
  UsherDoor *door;
  State state;
  UsherStream *gateway, *desktop;
  UsherBuffer in, out;
  UsherRelay *relay;
  UsherTimer timer;
  UsherGrant grant; /* once opened */
  gboolean accepted;
} Connection;

static const char *const service_names[] = { [USHER_SERVICE_SPICE] = "spice", [USHER_SERVICE_RDP] = "rdp" };

static void
log_connection (const Connection *c, UsherLogLevel level, const char *what, const char *why)
{
  const UsherLogContext context = { .session = c->grant.session[0] != '\0' ? c->grant.session : NULL,
                                    .desktop = c->grant.desktop[0] != '\0' ? c->grant.desktop : NULL };
  usher_log (level, &context, "%s%s%s", what, why != NULL ? ": " : "", why != NULL ? why : "");
}

static void
end_connection (Connection *c)
{
  if (c->state == STATE_OVER)
    return;
  c->state = STATE_OVER;
  g_hash_table_remove (c->door->connections, c); /* frees it, at the end of the turn */
}

static void
free_connection (gpointer data)
{
  Connection *c = data;
  UsherLoop *loop = c->door->loop;
  c->state = STATE_OVER;
  usher_timer_disarm (loop, &c->timer);
  usher_relay_free (c->relay);
  usher_buffer_clear (&c->in);
  usher_buffer_clear (&c->out);
  usher_stream_free (c->gateway);
  usher_stream_free (c->desktop);
  usher_loop_bury (loop, c, g_free);
}

static void
on_timeout (gpointer user_data)
{
  Connection *c = user_data;
  log_connection (c, USHER_LOG_NOTICE, "a greeting took too long", NULL);
  end_connection (c);
}

static void
on_relay_done (UsherRelayEnd end, gboolean gateway_first, gpointer user_data)
{
  Connection *c = user_data;
  const UsherLogContext context = { .session = c->grant.session, .desktop = c->grant.desktop };
  usher_log (USHER_LOG_INFO, &context, "relay %s (%s first), %" G_GUINT64_FORMAT " bytes to the gateway, %" G_GUINT64_FORMAT
             " to the desktop", usher_relay_end_name (end), gateway_first ? "gateway" : "desktop",
             usher_relay_bytes_to_a (c->relay), usher_relay_bytes_to_b (c->relay));
  end_connection (c);
}

static void
start_relay (Connection *c)
{
  const UsherRelayLimits limits = { .half_closed_ms = HALF_CLOSED_MS };
  c->state = STATE_RELAYING;
  usher_timer_disarm (c->door->loop, &c->timer);
  /* What the gateway sent behind its greeting belongs to the desktop. */
  if (usher_buffer_length (&c->in) > 0)
    usher_stream_unread (c->gateway, usher_buffer_peek (&c->in), usher_buffer_length (&c->in));
  usher_buffer_clear (&c->in);
  c->relay = usher_relay_new (c->door->loop, c->door->pool, c->gateway, c->desktop, &limits, on_relay_done, c);
  USHER_FAULT_POINT ("door.relay-started");
}

static void
answer (Connection *c, UsherDoorStatus status, const char *message)
{
  g_autoptr (GByteArray) bytes = usher_door_answer (status, message);
  c->accepted = status == USHER_DOOR_OK;
  c->state = STATE_ANSWERING;
  log_connection (c, c->accepted ? USHER_LOG_INFO : USHER_LOG_NOTICE, c->accepted ? "opened" : "turned away",
                  c->accepted ? NULL : message);
  if (!usher_buffer_append (&c->out, bytes->data, bytes->len))
    end_connection (c);
}

/* What an error of finding or opening means to the gateway. */
static UsherDoorStatus
status_of (const GError *error, UsherDoorStatus otherwise)
{
  static const struct {
    UsherError code;
    UsherDoorStatus status;
  } table[] = {
    { USHER_ERROR_INVALID, USHER_DOOR_INVALID },
    { USHER_ERROR_REFUSED, USHER_DOOR_REFUSED },
    { USHER_ERROR_MISSING, USHER_DOOR_MISSING },
  };
  for (guint i = 0; i < G_N_ELEMENTS (table); i++)
    if (g_error_matches (error, USHER_ERROR, (int) table[i].code))
      return table[i].status;
  return otherwise;
}

/* --- the grant --------------------------------------------------------------------------------- */

/* Who this host is and whose grants it takes; both change only by joining anew. */
static gboolean
load_identity (UsherDoor *door, char host[USHER_ID_SIZE], unsigned char key[USHER_GRANT_PUBLIC_KEY_SIZE], GError **error)
{
  const char *id = NULL;
  json_auto_t *identity = usher_json_read_file (door->identity, error);
  if (identity == NULL || !usher_json_get_string ((UsherJson){ identity, door->identity }, "host", &id, error))
    return FALSE;
  g_strlcpy (host, id, USHER_ID_SIZE);
  g_autoptr (UsherSecret) text = usher_secret_read_file (door->grant_key, error);
  return text != NULL && usher_grant_public_key_parse (usher_secret_peek (text), key, error);
}

static void
reach_desktop (Connection *c, UsherService service)
{
  UsherAddress address;
  g_autoptr (GError) error = NULL;
  if (!usher_door_console_find (c->door->consoles, c->grant.desktop, service_names[service], &address, &error))
    {
      if (g_error_matches (error, USHER_ERROR, USHER_ERROR_MISSING))
        answer (c, USHER_DOOR_MISSING, "this host holds no such desktop");
      else
        {
          log_connection (c, USHER_LOG_WARNING, "console file", error->message);
          answer (c, USHER_DOOR_UNAVAILABLE, "the desktop's console is not known");
        }
      return;
    }
  c->desktop = usher_socket_stream_connect (c->door->loop, &address, &error);
  if (c->desktop == NULL)
    answer (c, USHER_DOOR_UNAVAILABLE, "the desktop does not answer");
  else
    c->state = STATE_REACHING;
}

static void
check_greeting (Connection *c, UsherService service, const char *sealed, gsize length)
{
  char host[USHER_ID_SIZE];
  unsigned char key[USHER_GRANT_PUBLIC_KEY_SIZE];
  g_autoptr (GError) error = NULL;
  if (!load_identity (c->door, host, key, &error))
    {
      log_connection (c, USHER_LOG_ERROR, "who this host is", error->message);
      answer (c, USHER_DOOR_UNAVAILABLE, "this host has not joined");
      return;
    }
  if (!usher_grant_open (sealed, length, key, host, g_get_real_time () / G_USEC_PER_SEC, &c->grant, &error))
    {
      answer (c, status_of (error, USHER_DOOR_REFUSED), error->message);
      return;
    }
  if (c->grant.service != service)
    {
      answer (c, USHER_DOOR_REFUSED, "the grant is for another service");
      return;
    }
  USHER_FAULT_POINT ("door.grant-opened");
  reach_desktop (c, service);
}

/* --- states ------------------------------------------------------------------------------------ */

static void
step_greeting (Connection *c)
{
  UsherService service;
  const char *sealed = NULL;
  gsize length = 0;
  const gssize n = usher_buffer_fill (&c->in, c->gateway);
  if (n == USHER_IO_FAILED || n == USHER_IO_END)
    {
      log_connection (c, n == USHER_IO_END ? USHER_LOG_DEBUG : USHER_LOG_INFO, "a gateway left before its greeting",
                      n == USHER_IO_END ? NULL : usher_stream_reason (c->gateway));
      end_connection (c);
      return;
    }
  g_autoptr (GError) error = NULL;
  const gssize used = usher_door_request_parse (usher_buffer_peek (&c->in), usher_buffer_length (&c->in), &service,
                                                &sealed, &length, &error);
  if (used < 0)
    answer (c, USHER_DOOR_INVALID, error->message);
  else if (used > 0)
    {
      check_greeting (c, service, sealed, length);
      usher_buffer_consume (&c->in, (guint) used);
    }
}

static void
step_reaching (Connection *c)
{
  const gssize r = usher_socket_stream_check (c->desktop);
  if (r == 0)
    answer (c, USHER_DOOR_OK, "");
  else if (r == USHER_IO_FAILED)
    answer (c, USHER_DOOR_UNAVAILABLE, "the desktop does not answer");
}

static void
step_answering (Connection *c)
{
  if (usher_buffer_drain (&c->out, c->gateway, G_MAXUINT64) == USHER_IO_FAILED)
    {
      end_connection (c);
      return;
    }
  if (usher_buffer_length (&c->out) > 0)
    return;
  if (c->accepted)
    start_relay (c);
  else if (usher_stream_finish (c->gateway) != USHER_IO_AGAIN)
    end_connection (c);
}

static void
step_nothing (Connection *c)
{
}

static void (*const steps[]) (Connection *) = {
  [STATE_GREETING] = step_greeting,   [STATE_REACHING] = step_reaching, [STATE_ANSWERING] = step_answering,
  [STATE_RELAYING] = step_nothing, [STATE_OVER] = step_nothing,
};

static void
on_ready (gpointer user_data)
{
  Connection *c = user_data;
  State before;
  do
    {
      before = c->state;
      steps[c->state](c);
      if (c->desktop != NULL && c->state == STATE_REACHING)
        usher_stream_set_ready (c->desktop, on_ready, c);
    }
  while (c->state != before);
}

/* --- the door ---------------------------------------------------------------------------------- */

static void
on_accepted (int fd, const UsherAddress *peer, gpointer user_data)
{
  UsherDoor *door = user_data;
  g_autoptr (GError) error = NULL;
  UsherStream *stream = door->options.tls != NULL
                            ? usher_tls_stream_new (door->options.tls, door->loop, fd, NULL, &error)
                            : usher_socket_stream_new (door->loop, fd, &error);
  if (stream == NULL)
    {
      usher_log (USHER_LOG_ERROR, NULL, "accept: %s", error->message);
      return;
    }
  if (g_hash_table_size (door->connections) >= door->options.connections_max)
    {
      usher_log (USHER_LOG_WARNING, NULL, "turned away: %u connections are open", door->options.connections_max);
      usher_stream_free (stream);
      return;
    }
  Connection *c = g_new0 (Connection, 1);
  c->door = door;
  c->gateway = stream;
  usher_buffer_init (&c->in, door->pool);
  usher_buffer_init (&c->out, door->pool);
  usher_stream_set_ready (stream, on_ready, c);
  usher_timer_arm (door->loop, &c->timer, door->options.greeting_ms, on_timeout, c);
  g_hash_table_add (door->connections, c);
}

UsherDoor *
usher_door_new (UsherLoop *loop, const UsherDoorOptions *options, GError **error)
{
  g_autoptr (UsherDoor) door = g_new0 (UsherDoor, 1);
  door->loop = loop;
  door->options = *options;
  door->consoles = g_strdup (options->consoles);
  door->identity = g_strdup (options->identity);
  door->grant_key = g_strdup (options->grant_key);
  door->pool = usher_pool_new (options->connections_max * 2, BLOCKS_KEPT);
  door->connections = g_hash_table_new_full (NULL, NULL, free_connection, NULL);
  door->listener = usher_listener_new (loop, &options->listen, options->mode, on_accepted, door, error);
  return door->listener != NULL ? g_steal_pointer (&door) : NULL;
}

guint
usher_door_port (const UsherDoor *door)
{
  return usher_listener_port (door->listener);
}

guint
usher_door_connections (const UsherDoor *door)
{
  return g_hash_table_size (door->connections);
}

void
usher_door_close (UsherDoor *door)
{
  g_clear_pointer (&door->listener, usher_listener_free);
}

void
usher_door_free (UsherDoor *door)
{
  if (door == NULL)
    return;
  usher_door_close (door);
  g_hash_table_unref (door->connections);
  usher_pool_free (door->pool);
  g_free (door->consoles);
  g_free (door->identity);
  g_free (door->grant_key);
  g_free (door);
}
