/* usher-door: reads hostd.conf, as hostd does, and opens the host's door. */
#include <grp.h>
#include <sys/un.h>
#include <unistd.h>
#include "common/error.h"
#include "common/log.h"
#include "common/relay/sandbox.h"
#include "common/start.h"
#include "hostd/door/door.h"
#include "hostd/settings.h"

#define CONNECTIONS_MAX 4096
#define GREETING_MS 10000

static void
on_stop (gpointer user_data)
{
  usher_log (USHER_LOG_NOTICE, NULL, "stopping");
  usher_loop_quit (user_data);
}

/* TCP wants mutual TLS, with the certificate that the host got when it joined; a unix socket has its mode. */
static gboolean
make_tls (const UsherSettings *settings, const UsherAddress *listen, UsherTls **out, GError **error)
{
  const UsherTlsFiles files = {
    .certificate = usher_settings_get_string (settings, "broker", "certificate"),
    .key = usher_settings_get_string (settings, "broker", "key"),
    .ca = usher_settings_get_string (settings, "broker", "ca"),
  };
  if (usher_address_is_unix (listen))
    return TRUE;
  *out = usher_tls_new_server (&files, error);
  return *out != NULL;
}

static int
run (const UsherSettings *settings, GError **error)
{
  g_autoptr (UsherLoop) loop = usher_loop_new (error);
  g_autoptr (UsherTls) tls = NULL;
  g_autofree char *consoles = usher_hostd_settings_dup_consoles_dir (settings);
  UsherDoorOptions options = {
    .mode = 0660,
    .consoles = consoles,
    .identity = usher_settings_get_string (settings, "broker", "identity"),
    .grant_key = usher_settings_get_string (settings, "broker", "grant_key"),
    .connections_max = CONNECTIONS_MAX,
    .greeting_ms = GREETING_MS,
  };
  const char *listen = usher_settings_get_string (settings, "door", "listen");
  if (loop == NULL || !usher_address_parse (listen, &options.listen, error)
      || !make_tls (settings, &options.listen, &tls, error) || !usher_loop_on_stop_signal (loop, on_stop, loop, error))
    return 1;
  options.tls = tls;
  g_autoptr (UsherDoor) door = usher_door_new (loop, &options, error);
  if (door == NULL || !usher_sandbox_enter (error))
    return 1;
  usher_log (USHER_LOG_NOTICE, NULL, "the door is open on %s", listen);
  usher_loop_run (loop);
  return 0;
}

int
main (int argc, char **argv)
{
  int status = 0;
  g_autoptr (UsherSettings) settings = usher_start (usher_hostd_schema, "usher-door", "hostd", argc, argv, &status);
  if (settings == NULL)
    return status;
  usher_raise_descriptor_limit ();
  g_autoptr (GError) error = NULL;
  status = run (settings, &error);
  if (error != NULL)
    usher_log (USHER_LOG_ERROR, NULL, "%s", error->message);
  return status;
}
