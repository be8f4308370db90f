/* usher-broker: puts the parts together, runs the main loop, ends cleanly on SIGTERM and SIGINT. */
#include <glib-unix.h>
#include <sodium.h>
#include <string.h>
#include "broker/api/api.h"
#include "broker/auth/directory.h"
#include "broker/controllers/controllers.h"
#include "broker/images/service.h"
#include "broker/settings.h"
#include "broker/store/listener.h"
#include "broker/store/migrate.h"
#include "broker/store/store.h"
#include "common/error.h"
#include "common/log.h"

#define DIRECTORY_QUEUE 512 /* sign-ins that may wait for the directory; more are told to come again */
#define MIGRATE_AGAIN_MS 1000

typedef struct {
  GMainLoop *loop;
  UsherSettings *settings;
  UsherConsoleKey *console_key;
  UsherDirectorySetup *directory;
  UsherStaticFiles *files;
  UsherCa *ca;
  unsigned char grant_secret[USHER_GRANT_SECRET_KEY_SIZE];
  char *grant_public;
  UsherWorkers *store_workers, *directory_workers, *migrator;
  UsherImageService *images;
  UsherStoreListener *listener;
  UsherControllers *controllers;
  UsherApi *api;
  gboolean ending;
} Broker;

static const char *
setting (const Broker *broker, const char *section, const char *key)
{
  return usher_settings_get_string (broker->settings, section, key);
}

static gpointer
store_start (gpointer user_data)
{
  Broker *broker = user_data;
  return usher_store_new (setting (broker, "database", "conninfo"), broker->console_key);
}

static void
store_stop (gpointer state)
{
  usher_store_free (state);
}

static gpointer
directory_start (gpointer user_data)
{
  Broker *broker = user_data;
  return usher_directory_new (broker->directory);
}

static void
directory_stop (gpointer state)
{
  usher_directory_free (state);
}

static void
records_changed (guint kinds, gpointer user_data)
{
  Broker *broker = user_data;
  usher_api_notify (broker->api, kinds);
  usher_controllers_wake (broker->controllers, kinds);
}

/* ---- the schema: brought up to date at start, as soon as the database answers ---- */

static gpointer
migrate (gpointer state, gpointer job, GError **error)
{
  Broker *broker = job;
  const char *owner = setting (broker, "database", "owner_conninfo");
  if (owner[0] != '\0' && !usher_store_migrate (owner, error))
    return NULL;
  g_autoptr (UsherStore) store = store_start (broker);
  return usher_store_probe (store, error) ? broker : NULL;
}

static gboolean try_migrate (gpointer data);

static void
migrated (gpointer result, const GError *error, gpointer user_data)
{
  Broker *broker = user_data;
  if (broker->ending)
    return;
  if (result == NULL) {
    usher_log (USHER_LOG_WARNING, NULL, "the database is not ready: %s", error->message);
    g_timeout_add (MIGRATE_AGAIN_MS, try_migrate, broker);
    return;
  }
  usher_log (USHER_LOG_NOTICE, NULL, "the database is ready");
  broker->controllers = usher_controllers_new (setting (broker, "database", "conninfo"));
  broker->listener = usher_store_listener_new (setting (broker, "database", "conninfo"), records_changed, broker);
  usher_image_service_begin_sweeps (broker->images);
  usher_api_set_ready (broker->api, TRUE);
}

static gboolean
try_migrate (gpointer data)
{
  Broker *broker = data;
  usher_workers_submit (broker->migrator, migrate, broker, NULL, 0, migrated, broker, NULL, NULL);
  return G_SOURCE_REMOVE;
}

/* ---- start and end ---- */

static gboolean
open_keys (Broker *broker, GError **error)
{
  const char *dir = setting (broker, "keys", "dir");
  g_autofree char *path = g_build_filename (dir, "grant.pub", NULL);
  g_autoptr (GError) local = NULL;
  broker->console_key = usher_console_key_open (dir, error);
  if (broker->console_key == NULL || !usher_grant_keys_open (dir, broker->grant_secret, NULL, error))
    return FALSE;
  if (!g_file_get_contents (path, &broker->grant_public, NULL, &local)) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "[keys] dir: %s", local->message);
    return FALSE;
  }
  g_strstrip (broker->grant_public);
  broker->ca = usher_ca_open (setting (broker, "hosts", "ca_certificate"), setting (broker, "hosts", "ca_key"), error);
  return broker->ca != NULL;
}

static gboolean
open_files (Broker *broker, GError **error)
{
  broker->files = usher_static_files_new ();
  return usher_static_files_add (broker->files, "/spice-html5", setting (broker, "broker", "spice_html5_dir"), error)
         && usher_static_files_add (broker->files, "", setting (broker, "broker", "web_dir"), error);
}

static void
open_workers (Broker *broker)
{
  guint connections = (guint) usher_settings_get_int (broker->settings, "database", "workers");
  guint queue = (guint) usher_settings_get_int (broker->settings, "database", "queue");
  broker->store_workers = usher_workers_new ("database", connections, queue, store_start, store_stop, broker);
  broker->directory_workers = usher_workers_new ("directory", usher_directory_setup_get_workers (broker->directory),
                                                 DIRECTORY_QUEUE, directory_start, directory_stop, broker);
  broker->images = usher_image_service_new (broker->settings, store_start, store_stop, broker);
  broker->migrator = usher_workers_new ("migrate", 1, 1, NULL, NULL, NULL);
}

static gboolean
start (Broker *broker, GError **error)
{
  UsherLogLevel level = USHER_LOG_INFO;
  usher_log_level_parse (setting (broker, "broker", "log_level"), &level);
  usher_log_init ("usher-broker", level);
  broker->directory = usher_directory_setup_new (broker->settings, error);
  if (broker->directory == NULL || !open_keys (broker, error) || !open_files (broker, error))
    return FALSE;
  open_workers (broker);
  const UsherApiParts parts = { .settings = broker->settings, .store_workers = broker->store_workers,
                                .directory_workers = broker->directory_workers, .images = broker->images,
                                .ca = broker->ca, .files = broker->files,
                                .grant_secret = broker->grant_secret, .grant_public = broker->grant_public };
  broker->api = usher_api_new (&parts, error);
  if (broker->api == NULL || !usher_api_listen (broker->api, error))
    return FALSE;
  try_migrate (broker);
  usher_log (USHER_LOG_NOTICE, NULL, "listening at %s, %s and %s", setting (broker, "broker", "api_socket"),
             setting (broker, "broker", "gateway_socket"), setting (broker, "hosts", "listen"));
  return TRUE;
}

static void
broker_clear (Broker *broker)
{
  g_clear_pointer (&broker->listener, usher_store_listener_free);
  g_clear_pointer (&broker->controllers, usher_controllers_free);
  g_clear_pointer (&broker->migrator, usher_workers_free);
  if (broker->images != NULL)
    usher_image_service_stop (broker->images);
  g_clear_pointer (&broker->directory_workers, usher_workers_free);
  g_clear_pointer (&broker->store_workers, usher_workers_free);
  while (g_main_context_iteration (NULL, FALSE)) /* ends of jobs that were dropped */
    ;
  g_clear_pointer (&broker->api, usher_api_free);
  g_clear_pointer (&broker->images, usher_image_service_free);
  g_clear_pointer (&broker->files, usher_static_files_free);
  g_clear_pointer (&broker->ca, usher_ca_free);
  g_clear_pointer (&broker->directory, usher_directory_setup_free);
  g_clear_pointer (&broker->console_key, usher_console_key_free);
  sodium_memzero (broker->grant_secret, sizeof broker->grant_secret);
  g_clear_pointer (&broker->grant_public, g_free);
  g_clear_pointer (&broker->settings, usher_settings_free);
  g_clear_pointer (&broker->loop, g_main_loop_unref);
}

static gboolean
drained (gpointer data)
{
  Broker *broker = data;
  g_main_loop_quit (broker->loop);
  return G_SOURCE_REMOVE;
}

static gboolean
on_signal (gpointer data)
{
  Broker *broker = data;
  if (broker->ending)
    return G_SOURCE_CONTINUE;
  usher_log (USHER_LOG_NOTICE, NULL, "ending: open requests are answered first");
  broker->ending = TRUE;
  usher_image_service_give_up (broker->images);
  usher_api_drain (broker->api, drained, broker);
  return G_SOURCE_CONTINUE;
}

int
main (int argc, char **argv)
{
  int exit_status = 0;
  Broker broker = { 0 };
  usher_log_init ("usher-broker", USHER_LOG_INFO);
  broker.settings = usher_settings_from_command_line (usher_broker_schema, "usher-broker", argc, argv, &exit_status);
  if (broker.settings == NULL)
    return exit_status;
  exit_status = 0;
  broker.loop = g_main_loop_new (NULL, FALSE);
  g_autoptr (GError) error = NULL;
  if (start (&broker, &error)) {
    g_unix_signal_add (SIGTERM, on_signal, &broker);
    g_unix_signal_add (SIGINT, on_signal, &broker);
    g_main_loop_run (broker.loop);
    usher_log (USHER_LOG_NOTICE, NULL, "ended");
  } else {
    usher_log (USHER_LOG_ERROR, NULL, "cannot start: %s", error->message);
    exit_status = 1;
  }
  broker_clear (&broker);
  return exit_status;
}
