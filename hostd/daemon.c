#include "hostd/daemon.h"

#include "config.h"

#include <glib-unix.h>

#include "common/error.h"
#include "common/log.h"
#include "hostd/desktops/engine.h"
#include "hostd/host_info.h"
#include "hostd/identity.h"
#include "hostd/images/images.h"
#include "hostd/settings.h"
#include "hostd/sync/client.h"

#define SAMPLE_EVERY_S 5
#define QUEUE_LIMIT 100000 /* one job a desktop at most, and the scan */
#define PARENT_WORKERS 2   /* one freezes or reads, another is asked whether it is ready */

typedef struct {
  const UsherSettings *settings;
  UsherHostIdentity *identity;
  const char *domain_type;
  char *consoles_dir;
  UsherGround ground;
  UsherWorkers *workers; /* libvirt and disks */
  UsherWorkers *sampler; /* the host's figures */
  UsherWorkers *boots;   /* parents of instant clones */
  UsherEngine *engine;
  UsherKeeper *keeper;   /* NULL: no instant clones here */
  UsherSyncClient *sync;
  UsherImages *images;
  UsherHostInfo *info;
  guint sample_timer;
  GMainLoop *loop;
} Hostd;

/* ---- the host's figures ---- */

static gpointer
sample (gpointer state, gpointer job, GError **error)
{
  const Hostd *hostd = job;
  return usher_host_info_sample (hostd->ground.dirs, hostd->ground.templates,
                                 usher_settings_get_int (hostd->settings, "hostd", "reserve_mib"));
}

static gboolean
same_templates (const UsherHostInfo *a, const UsherHostInfo *b)
{
  return a != NULL && g_strv_equal ((const char *const *) a->templates, (const char *const *) b->templates);
}

static void
sampled (gpointer result, const GError *error, gpointer user_data)
{
  Hostd *hostd = user_data;
  if (result == NULL)
    return;
  gboolean changed = !same_templates (hostd->info, result);
  g_clear_pointer (&hostd->info, usher_host_info_free);
  hostd->info = result;
  usher_images_seen (hostd->images, (const char *const *) hostd->info->templates);
  if (!changed)
    return;
  usher_sync_client_changed (hostd->sync);
  if (hostd->keeper != NULL)
    usher_keeper_retry (hostd->keeper);
}

static gboolean
on_sample (gpointer data)
{
  Hostd *hostd = data;
  usher_workers_submit (hostd->sampler, sample, hostd, NULL, 0, sampled, hostd, (GDestroyNotify) usher_host_info_free, NULL);
  return G_SOURCE_CONTINUE;
}

/* ---- what the parts tell each other ---- */

static void
on_virt_event (UsherVirtEvent event, const char *id, gpointer user_data)
{
  usher_engine_event (((Hostd *) user_data)->engine, event, id);
}

static void
on_engine_changed (gpointer user_data)
{
  usher_sync_client_changed (((Hostd *) user_data)->sync);
}

static void
on_keeper_changed (gpointer user_data)
{
  usher_engine_parents_changed (((Hostd *) user_data)->engine);
}

static char *
waiting_for (const char *template_name, gint64 version, gboolean *out_failed, gpointer user_data)
{
  return usher_images_dup_waiting (((const Hostd *) user_data)->images, template_name, version, out_failed);
}

static void
on_images_changed (UsherImagesNews news, gpointer user_data)
{
  Hostd *hostd = user_data;
  usher_engine_templates_changed (hostd->engine, news == USHER_IMAGES_ARRIVED);
  if (news == USHER_IMAGES_ARRIVED && hostd->keeper != NULL)
    usher_keeper_retry (hostd->keeper);
  if (news == USHER_IMAGES_ARRIVED)
    on_sample (hostd); /* the broker hears what is usable here, not what was */
  usher_sync_client_changed (hostd->sync);
}

static gboolean
fill_request (UsherSyncRequest *request, gpointer user_data)
{
  const Hostd *hostd = user_data;
  const UsherHostInfo *info = hostd->info;
  if (info == NULL || !usher_engine_is_ready (hostd->engine))
    return FALSE;
  request->name = g_strdup (usher_hostd_settings_name (hostd->settings));
  request->version = g_strdup (PACKAGE_VERSION);
  request->domain_type = g_strdup (hostd->domain_type);
  request->door = g_strdup (usher_hostd_settings_door (hostd->settings));
  request->cpus = info->cpus;
  request->memory_mib = info->memory_mib;
  request->memory_free_mib = info->memory_free_mib;
  request->disk_free_mib = info->disk_free_mib;
  request->templates = g_strdupv (info->templates);
  usher_engine_report (hostd->engine, request->desktops);
  if (hostd->keeper != NULL)
    usher_keeper_report (hostd->keeper, request->parents);
  usher_images_report (hostd->images, request->fetches);
  return TRUE;
}

static void
apply_answer (const UsherSyncAnswer *answer, gpointer user_data)
{
  const Hostd *hostd = user_data;
  usher_images_want (hostd->images, answer); /* first: a new desktop may have to wait for its version */
  if (hostd->keeper != NULL)
    usher_keeper_apply (hostd->keeper, answer->parents);
  usher_engine_apply (hostd->engine, answer);
}

static gboolean
on_signal (gpointer data)
{
  g_main_loop_quit (((Hostd *) data)->loop);
  return G_SOURCE_CONTINUE;
}

/* ---- life ---- */

static const char *
text (const Hostd *hostd, const char *section, const char *key)
{
  return usher_settings_get_string (hostd->settings, section, key);
}

/* Says no to a relative path: it would depend on where hostd was started. */
static UsherTemplateStore *
open_templates (const Hostd *hostd, GError **error)
{
  g_autoptr (UsherTemplateStore) store = usher_template_store_new (text (hostd, "hostd", "template_dir"));
  const char *const *shared = usher_settings_get_list (hostd->settings, "images", "shared");
  for (gsize i = 0; shared[i] != NULL; i++)
    {
      if (!g_path_is_absolute (shared[i]))
        {
          g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "[images] shared: «%s» is not an absolute path", shared[i]);
          return NULL;
        }
      usher_template_store_add_shared (store, shared[i]);
    }
  return g_steal_pointer (&store);
}

static UsherLinkConfig
link_config (const Hostd *hostd)
{
  const char *url = text (hostd, "broker", "sync_url");
  return (UsherLinkConfig) { .url = *url != '\0' ? url : hostd->identity->sync_url, .ca = text (hostd, "broker", "ca"),
                             .certificate = text (hostd, "broker", "certificate"), .key = text (hostd, "broker", "key") };
}

static gboolean
open_sync (Hostd *hostd, GError **error)
{
  UsherSyncConfig config = {
    .link = link_config (hostd), .deployment = hostd->identity->deployment, .host = hostd->identity->host,
  };
  hostd->sync = usher_sync_client_new (&config, fill_request, apply_answer, hostd, error);
  return hostd->sync != NULL;
}

/* A host that can't fork makes linked clones, and says why. */
static void
open_clones (Hostd *hostd)
{
  const UsherSettings *settings = hostd->settings;
  const char *emulator = text (hostd, "clones", "emulator");
  g_autoptr (GError) error = NULL;
  UsherParentsConfig config = {
    .virt = hostd->ground.virt, .templates = hostd->ground.templates, .state_dir = text (hostd, "hostd", "state_dir"),
    .deployment = hostd->ground.deployment, .domain_type = hostd->domain_type, .emulator = *emulator != '\0' ? emulator : NULL,
    .reserve_mib = usher_settings_get_int (settings, "hostd", "disk_reserve_mib"),
  };
  if (!usher_settings_get_bool (settings, "clones", "instant"))
    {
      usher_engine_set_keeper (hostd->engine, NULL, "instant clones are switched off on this host");
      return;
    }
  hostd->ground.parents = usher_parents_new (&config, &error);
  if (hostd->ground.parents == NULL)
    {
      g_autofree char *why = g_strdup_printf ("this host cannot make instant clones: %s", error->message);
      usher_log (USHER_LOG_ERROR, NULL, "%s", why);
      usher_engine_set_keeper (hostd->engine, NULL, why);
      return;
    }
  hostd->boots = usher_workers_new ("parents", PARENT_WORKERS, QUEUE_LIMIT, NULL, NULL, NULL);
  hostd->keeper = usher_keeper_new (hostd->ground.parents, hostd->ground.templates, hostd->boots, on_keeper_changed, hostd);
  usher_engine_set_keeper (hostd->engine, hostd->keeper, NULL);
}

static void
open_images (Hostd *hostd)
{
  const UsherSettings *settings = hostd->settings;
  UsherImagesConfig config = {
    .link = link_config (hostd), .state_dir = text (hostd, "hostd", "state_dir"), .store = hostd->ground.templates,
    .rate_mib_s = usher_settings_get_int (settings, "images", "rate_mib_s"),
    .keep_s = usher_settings_get_int (settings, "images", "keep_s"),
    .reserve_mib = usher_settings_get_int (settings, "images", "reserve_mib"),
  };
  hostd->images = usher_images_new (&config, on_images_changed, hostd);
  usher_engine_set_waiting (hostd->engine, waiting_for, hostd);
}

static gboolean
open_all (Hostd *hostd, GError **error)
{
  const UsherSettings *settings = hostd->settings;
  guint threads = (guint) usher_settings_get_int (settings, "hostd", "workers");
  hostd->identity = usher_host_identity_read (text (hostd, "broker", "identity"), error);
  if (hostd->identity == NULL)
    {
      g_prefix_error (error, "this host has not joined a deployment (usher-hostd join): ");
      return FALSE;
    }
  UsherTemplateStore *templates = open_templates (hostd, error);
  if (templates == NULL)
    return FALSE;
  hostd->ground.templates = templates;
  if (!open_sync (hostd, error))
    return FALSE;
  hostd->domain_type = usher_host_domain_type (text (hostd, "hostd", "domain_type"), text (hostd, "hostd", "libvirt_uri"));
  hostd->consoles_dir = usher_hostd_settings_dup_consoles_dir (settings);
  hostd->ground = (UsherGround) {
    .virt = usher_virt_new (text (hostd, "hostd", "libvirt_uri"), hostd->identity->deployment, on_virt_event, hostd),
    .dirs = usher_desktop_dirs_new (text (hostd, "hostd", "state_dir"), usher_settings_get_int (settings, "hostd", "disk_reserve_mib")),
    .templates = templates,
    .deployment = hostd->identity->deployment, .domain_type = hostd->domain_type, .consoles_dir = hostd->consoles_dir,
  };
  hostd->workers = usher_workers_new ("desktops", threads, QUEUE_LIMIT, NULL, NULL, NULL);
  hostd->sampler = usher_workers_new ("sampler", 1, 1, NULL, NULL, NULL);
  hostd->engine = usher_engine_new (&hostd->ground, hostd->workers, usher_settings_get_int (settings, "hostd", "shutdown_s") * 1000,
                                    on_engine_changed, hostd);
  open_clones (hostd);
  open_images (hostd);
  return TRUE;
}

static void
run (Hostd *hostd)
{
  hostd->loop = g_main_loop_new (NULL, FALSE);
  guint signals[] = { g_unix_signal_add (SIGTERM, on_signal, hostd), g_unix_signal_add (SIGINT, on_signal, hostd) };
  usher_log (USHER_LOG_NOTICE, NULL, "host %s (%s), guests run as %s, libvirt %s", usher_hostd_settings_name (hostd->settings),
             hostd->identity->host, hostd->domain_type, text (hostd, "hostd", "libvirt_uri"));
  on_sample (hostd);
  hostd->sample_timer = g_timeout_add_seconds (SAMPLE_EVERY_S, on_sample, hostd);
  usher_engine_scan (hostd->engine);
  g_main_loop_run (hostd->loop);
  usher_log (USHER_LOG_NOTICE, NULL, "ending; desktops go on");
  for (gsize i = 0; i < G_N_ELEMENTS (signals); i++)
    g_source_remove (signals[i]);
  g_clear_handle_id (&hostd->sample_timer, g_source_remove);
  g_clear_pointer (&hostd->loop, g_main_loop_unref);
}

static void
close_all (Hostd *hostd)
{
  g_clear_pointer (&hostd->sampler, usher_workers_free);
  g_clear_pointer (&hostd->workers, usher_workers_free);
  g_clear_pointer (&hostd->boots, usher_workers_free);
  g_clear_pointer (&hostd->images, usher_images_free);
  g_clear_pointer (&hostd->sync, usher_sync_client_free);
  g_clear_pointer (&hostd->keeper, usher_keeper_free);
  g_clear_pointer (&hostd->ground.parents, usher_parents_free);
  g_clear_pointer (&hostd->ground.virt, usher_virt_free);
  g_clear_pointer (&hostd->engine, usher_engine_free);
  g_clear_pointer (&hostd->ground.dirs, usher_desktop_dirs_free);
  g_clear_pointer (&hostd->ground.templates, usher_template_store_free);
  g_clear_pointer (&hostd->info, usher_host_info_free);
  g_clear_pointer (&hostd->identity, usher_host_identity_free);
  g_free (hostd->consoles_dir);
}

int
usher_hostd_run (const UsherSettings *settings)
{
  Hostd hostd = { .settings = settings };
  g_autoptr (GError) error = NULL;
  /* For good: libvirt's own event thread runs the default context whenever nobody else does, and with it our callbacks. */
  g_main_context_acquire (NULL);
  gboolean opened = open_all (&hostd, &error);
  if (opened)
    run (&hostd);
  else
    usher_log (USHER_LOG_ERROR, NULL, "%s", error->message);
  close_all (&hostd);
  return opened ? 0 : 1;
}
