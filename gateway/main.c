/* usher-gateway: reads gateway.conf, opens the port, runs the loop until it is drained. */
#include <grp.h>
#include <malloc.h>
#include <pwd.h>
#include <unistd.h>
#include "common/error.h"
#include "common/log.h"
#include "common/relay/sandbox.h"
#include "common/start.h"
#include "gateway/edge/server.h"
#include "gateway/edge/upgrade.h"
#include "gateway/settings.h"

#define LINK_KEYS 64
#define REDEEM_MS 10000
#define REACH_MS 15000
#define STILL_MS 90000        /* the API's longest wait is 25 s */
#define EVENTS_WAIT_MS 3000   /* at the end, for the broker to hear of ended sessions */
#define BLOCKS_A_CONNECTION 8 /* a channel in a WebSocket, at its busiest */
#define BLOCKS_KEPT 256

/* Everything that lives as long as the process. */
typedef struct {
  const UsherSettings *settings;
  UsherLoop *loop;
  UsherPool *pool;
  UsherTls *tls, *door_tls;
  UsherKeyPool *keys;
  UsherBroker *broker;
  UsherHttpContext http;
  UsherSpiceContext spice;
  UsherServer *server;
  char *origin;
} Gateway;

static const char *
text_setting (const Gateway *g, const char *section, const char *key)
{
  return usher_settings_get_string (g->settings, section, key);
}

static guint
seconds_as_ms (const Gateway *g, const char *key)
{
  return (guint) usher_settings_get_int (g->settings, "gateway", key) * 1000;
}

static void
on_drained (gpointer user_data)
{
  usher_loop_quit (((Gateway *) user_data)->loop);
}

static void
on_stop (gpointer user_data)
{
  Gateway *g = user_data;
  usher_server_drain (g->server, seconds_as_ms (g, "drain_s"), on_drained, g);
}

static gboolean
make_tls (Gateway *g, GError **error)
{
  const UsherTlsFiles server = {
    .certificate = text_setting (g, "gateway", "certificate"),
    .key = text_setting (g, "gateway", "key"),
    .alpn_http1 = TRUE,
  };
  const UsherTlsFiles doors = {
    .certificate = text_setting (g, "doors", "certificate"),
    .key = text_setting (g, "doors", "key"),
    .ca = text_setting (g, "doors", "ca"),
  };
  g->tls = usher_tls_new_server (&server, error);
  if (g->tls == NULL)
    return FALSE;
  if (*doors.ca == '\0')
    return TRUE;
  g->door_tls = usher_tls_new_client (&doors, error);
  return g->door_tls != NULL;
}

/* Root may open the port and the key; then it is no longer wanted. */
static gboolean
become_user (const char *name, GError **error)
{
  if (*name == '\0' || getuid () != 0)
    return TRUE;
  const struct passwd *user = getpwnam (name);
  if (user != NULL && initgroups (name, user->pw_gid) == 0 && setgid (user->pw_gid) == 0 && setuid (user->pw_uid) == 0)
    return TRUE;
  g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "[gateway] user: can't become \"%s\"", name);
  return FALSE;
}

static void
fill_contexts (Gateway *g)
{
  g->http.loop = g->spice.loop = g->loop;
  g->http.pool = g->spice.pool = g->pool;
  g->http.origin = g->origin;
  g->http.head_ms = g->spice.link_ms = seconds_as_ms (g, "head_timeout_s");
  g->http.keep_alive_ms = seconds_as_ms (g, "keep_alive_s");
  g->http.still_ms = STILL_MS;
  g->spice.keys = g->keys;
  g->spice.broker = g->broker;
  g->spice.door_tls = g->door_tls;
  g->spice.gateway = text_setting (g, "gateway", "name");
  g->spice.redeem_ms = REDEEM_MS;
  g->spice.reach_ms = REACH_MS;
  g->spice.sessions = usher_spice_sessions_new (&g->spice);
}

static gboolean
start (Gateway *g, GError **error)
{
  UsherServerOptions options = {
    .connections_max = (guint) usher_settings_get_int (g->settings, "gateway", "connections_max"),
    .connections_per_address = (guint) usher_settings_get_int (g->settings, "gateway", "connections_per_address"),
    .handshake_ms = seconds_as_ms (g, "head_timeout_s"),
  };
  g_autofree char *api = g_strconcat ("unix:", text_setting (g, "gateway", "api_socket"), NULL);
  g->origin = usher_origin_of_url (text_setting (g, "gateway", "public_url"), error);
  if (g->origin == NULL || !usher_address_parse (text_setting (g, "gateway", "listen"), &options.listen, error)
      || !usher_address_parse (api, &g->http.api, error) || !make_tls (g, error))
    return FALSE;
  g->loop = usher_loop_new (error);
  if (g->loop == NULL || !usher_loop_on_stop_signal (g->loop, on_stop, g, error))
    return FALSE;
  g->pool = usher_pool_new (options.connections_max * BLOCKS_A_CONNECTION, BLOCKS_KEPT);
  options.loop = g->loop;
  options.pool = g->pool;
  options.tls = g->tls;
  options.http = &g->http;
  options.spice = &g->spice;
  g->server = usher_server_new (&options, error);
  if (g->server == NULL || !become_user (text_setting (g, "gateway", "user"), error))
    return FALSE;
  g->keys = usher_key_pool_new (LINK_KEYS);
  g->broker = usher_broker_new (g->loop, text_setting (g, "gateway", "gateway_socket"), error);
  if (g->broker == NULL)
    return FALSE;
  fill_contexts (g);
  return usher_sandbox_enter (error);
}

static void
stop (Gateway *g)
{
  usher_server_free (g->server);
  if (g->broker != NULL)
    usher_broker_close (g->broker, EVENTS_WAIT_MS);
  usher_spice_sessions_free (g->spice.sessions);
  usher_broker_free (g->broker);
  usher_key_pool_free (g->keys);
  usher_loop_free (g->loop);
  usher_pool_free (g->pool);
  usher_tls_free (g->door_tls);
  usher_tls_free (g->tls);
  g_free (g->origin);
}

int
main (int argc, char **argv)
{
  int status = 0;
  g_autoptr (UsherSettings) settings = usher_start (usher_gateway_schema, "usher-gateway", "gateway", argc, argv, &status);
  if (settings == NULL)
    return status;
  usher_raise_descriptor_limit ();
  Gateway gateway = { .settings = settings };
  g_autoptr (GError) error = NULL;
  if (start (&gateway, &error))
    {
      usher_log (USHER_LOG_NOTICE, NULL, "serving %s on %s", gateway.origin,
                 usher_settings_get_string (settings, "gateway", "listen"));
      usher_loop_run (gateway.loop);
    }
  else
    usher_log (USHER_LOG_ERROR, NULL, "%s", error->message);
  stop (&gateway);
  return error != NULL ? 1 : 0;
}
