/* Instant clones without the rest of the host daemon: a program that tests tell what to do, a command a line, and that
 * answers each with one line of JSON: {"ok": true, …} or {"ok": false, "code", "message"}.
 *
 *     clone-driver URI DEPLOYMENT TEMPLATE-DIR STATE-DIR EMULATOR
 *
 *     begin|is_ready|freeze|load|retire|discard NAME VERSION VCPUS RAM
 *     list | collect
 *     fork ID HOSTNAME NAME VERSION VCPUS RAM     two or more of these on one line, parted by « ; », at the same time
 *     start|destroy|undefine|reset|reboot|shutdown|look|ping ID
 *     elastic ID [MIB]
 *     migrate_check ID
 *     migrate ID LIBVIRT-URI DATA-URI */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "common/json.h"
#include "common/log.h"
#include "hostd/clone/fork.h"
#include "hostd/host_info.h"
#include "hostd/virt/elastic.h"
#include "hostd/virt/migrate.h"

typedef struct {
  UsherVirt *virt;
  UsherTemplateStore *templates;
  UsherParents *parents;
  const char *deployment, *state_dir, *domain_type;
} Driver;

static json_t *
answer (gboolean done, const GError *error)
{
  if (done)
    return json_pack ("{s:b}", "ok", 1);
  return json_pack ("{s:b,s:s,s:s}", "ok", 0, "code", usher_error_name (usher_error_code (error)), "message", error->message);
}

static UsherParentKey
key_of (char **words)
{
  return (UsherParentKey) { words[0], atoll (words[1]), atoll (words[2]), atoll (words[3]) };
}

/* ---- parents ---- */

static json_t *
list (const Driver *driver, char **words, GError **error)
{
  static const char *const stages[] = { "none", "half", "saved", "loaded" };
  g_autoptr (GPtrArray) found = usher_parents_list (driver->parents, error);
  if (found == NULL)
    return NULL;
  json_t *items = json_array ();
  for (guint i = 0; i < found->len; i++)
    {
      const UsherParentFound *one = found->pdata[i];
      json_array_append_new (items, json_pack ("{s:s,s:I,s:s,s:b}", "name", one->key.template_name, "ram_mib", (json_int_t) one->key.ram_mib,
                                               "stage", stages[one->stage], "begun_here", one->begun_here));
    }
  return json_pack ("{s:b,s:o}", "ok", 1, "parents", items);
}

static json_t *
collect (const Driver *driver, char **words, GError **error)
{
  return usher_parents_collect (driver->parents, error) ? answer (TRUE, NULL) : NULL;
}

static json_t *
is_ready (const Driver *driver, char **words, GError **error)
{
  gboolean ready;
  UsherParentKey key = key_of (words);
  if (!usher_parents_is_ready (driver->parents, &key, &ready, error))
    return NULL;
  return json_pack ("{s:b,s:b}", "ok", 1, "ready", ready);
}

#define PARENT_COMMAND(name)                                                   \
  static json_t *do_##name (const Driver *driver, char **words, GError **error) \
  {                                                                            \
    UsherParentKey key = key_of (words);                                       \
    return usher_parents_##name (driver->parents, &key, error) ? answer (TRUE, NULL) : NULL; \
  }
PARENT_COMMAND (begin)
PARENT_COMMAND (freeze)
PARENT_COMMAND (load)
PARENT_COMMAND (retire)
PARENT_COMMAND (discard)

/* ---- desktops ---- */

static gboolean
fork_desktop (const Driver *driver, const char *id, const char *name, const UsherParentKey *key, GError **error)
{
  g_autoptr (UsherTemplateFiles) files = usher_template_store_open (driver->templates, key->template_name, key->template_version, error);
  g_autoptr (UsherParent) parent = usher_parents_hold (driver->parents, key);
  if (files == NULL)
    return FALSE;
  if (parent == NULL)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_MISSING, "no such parent is loaded");
      return FALSE;
    }
  g_autofree char *dir = g_build_filename (driver->state_dir, "desktops", id, NULL);
  g_autofree char *disk = g_build_filename (dir, "disk.qcow2", NULL), *serial = g_build_filename (dir, "serial.log", NULL);
  g_autofree char *network = usher_virt_find_network (driver->virt);
  g_mkdir_with_parents (dir, 0711);
  UsherDomainSpec cold = {
    .id = id, .name = name, .deployment = driver->deployment, .domain_type = driver->domain_type, .machine = files->manifest->machine,
    .video = usher_template_video_name (files->manifest->video), .kernel = files->kernel, .initrd = files->initrd,
    .cmdline = files->manifest->cmdline, .disk = disk, .serial_log = serial, .network = network, .first_secret = "nobody-knows-it",
    .vcpus = key->vcpus, .ram_mib = key->ram_mib,
  };
  UsherForkOrder order = { .user = "", .start = 1, .started_at = g_get_real_time () / G_USEC_PER_SEC };
  return usher_clone_fork (driver->parents, parent, &cold, &order, error);
}

static json_t *
do_fork (const Driver *driver, char **words, GError **error)
{
  UsherParentKey key = key_of (words + 2);
  gint64 begun_us = g_get_monotonic_time ();
  if (!fork_desktop (driver, words[0], words[1], &key, error))
    return NULL;
  return json_pack ("{s:b,s:f}", "ok", 1, "ms", (double) (g_get_monotonic_time () - begun_us) / 1000);
}

static json_t *
do_look (const Driver *driver, char **words, GError **error)
{
  static const char *const states[] = { "none", "foreign", "off", "running", "paused" };
  UsherDomainFacts facts;
  if (!usher_virt_look (driver->virt, words[0], &facts, error))
    return NULL;
  return json_pack ("{s:b,s:s,s:b,s:b,s:I,s:i}", "ok", 1, "state", states[facts.state], "ready", facts.run.ready, "forking",
                    facts.run.forking, "start", (json_int_t) facts.run.start, "spice_port", facts.spice_port);
}

static json_t *
do_ping (const Driver *driver, char **words, GError **error)
{
  gboolean answers;
  if (!usher_virt_ping (driver->virt, words[0], &answers, error))
    return NULL;
  return json_pack ("{s:b,s:b}", "ok", 1, "answers", answers);
}

#define DOMAIN_COMMAND(name)                                                   \
  static json_t *do_##name (const Driver *driver, char **words, GError **error) \
  {                                                                            \
    return usher_virt_##name (driver->virt, words[0], error) ? answer (TRUE, NULL) : NULL; \
  }
DOMAIN_COMMAND (start)
DOMAIN_COMMAND (destroy)
DOMAIN_COMMAND (undefine)
DOMAIN_COMMAND (reset)
DOMAIN_COMMAND (reboot)
DOMAIN_COMMAND (shutdown)

static json_t *
do_elastic (const Driver *driver, char **words, GError **error)
{
  UsherElastic found;
  if (words[1] != NULL && !usher_virt_set_elastic (driver->virt, words[0], atoll (words[1]), error))
    return NULL;
  if (!usher_virt_get_elastic (driver->virt, words[0], &found, error))
    return NULL;
  return json_pack ("{s:b,s:I,s:I,s:I}", "ok", 1, "requested", (json_int_t) found.requested_mib, "actual", (json_int_t) found.actual_mib,
                    "maximum", (json_int_t) found.maximum_mib);
}

static json_t *
do_migrate (const Driver *driver, char **words, GError **error)
{
  return usher_virt_migrate (driver->virt, words[0], words[1], words[2], error) ? answer (TRUE, NULL) : NULL;
}

static json_t *
do_migrate_check (const Driver *driver, char **words, GError **error)
{
  g_autofree char *obstacle = NULL;
  if (!usher_virt_migrate_check (driver->virt, words[0], &obstacle, error))
    return NULL;
  return json_pack ("{s:b,s:s?}", "ok", 1, "obstacle", obstacle);
}

/* ---- the lines ---- */

static const struct {
  const char *name;
  guint words;
  json_t *(*func) (const Driver *driver, char **words, GError **error);
} commands[] = {
  { "begin", 4, do_begin },     { "is_ready", 4, is_ready },     { "freeze", 4, do_freeze },   { "load", 4, do_load },
  { "retire", 4, do_retire },   { "discard", 4, do_discard },    { "list", 0, list },          { "collect", 0, collect },
  { "fork", 6, do_fork },       { "start", 1, do_start },        { "destroy", 1, do_destroy }, { "undefine", 1, do_undefine },
  { "look", 1, do_look },       { "ping", 1, do_ping },          { "elastic", 1, do_elastic },
  { "reset", 1, do_reset },     { "reboot", 1, do_reboot },      { "shutdown", 1, do_shutdown },
  { "migrate", 3, do_migrate }, { "migrate_check", 1, do_migrate_check },
};

static json_t *
run_one (const Driver *driver, const char *line)
{
  g_auto (GStrv) words = g_strsplit_set (line, " ", -1);
  g_autoptr (GError) error = NULL;
  for (gsize i = 0; i < G_N_ELEMENTS (commands); i++)
    if (g_str_equal (words[0], commands[i].name) && g_strv_length (words) > commands[i].words)
      {
        json_t *result = commands[i].func (driver, words + 1, &error);
        return result != NULL ? result : answer (FALSE, error);
      }
  return json_pack ("{s:b,s:s,s:s}", "ok", 0, "code", "invalid", "message", "no such command");
}

typedef struct {
  const Driver *driver;
  char *line;
} Task;

static gpointer
task_main (gpointer data)
{
  const Task *task = data;
  return run_one (task->driver, task->line);
}

/* All parts of the line at the same time; the answers in their order. */
static json_t *
run_line (const Driver *driver, const char *line)
{
  g_auto (GStrv) parts = g_strsplit (line, " ; ", -1);
  guint count = g_strv_length (parts);
  if (count == 1)
    return run_one (driver, line);
  g_autofree Task *tasks = g_new0 (Task, count);
  g_autofree GThread **threads = g_new0 (GThread *, count);
  json_t *answers = json_array ();
  for (guint i = 0; i < count; i++)
    {
      tasks[i] = (Task) { driver, parts[i] };
      threads[i] = g_thread_new ("task", task_main, &tasks[i]);
    }
  for (guint i = 0; i < count; i++)
    json_array_append_new (answers, g_thread_join (threads[i]));
  return json_pack ("{s:b,s:o}", "ok", 1, "all", answers);
}

static void
on_event (UsherVirtEvent event, const char *id, gpointer user_data)
{
}

int
main (int argc, char **argv)
{
  char line[4096];
  g_autoptr (GError) error = NULL;
  if (argc != 6)
    return 2;
  usher_log_init ("clone-driver", USHER_LOG_DEBUG);
  Driver driver = { .virt = usher_virt_new (argv[1], argv[2], on_event, NULL), .templates = usher_template_store_new (argv[3]),
                    .deployment = argv[2], .state_dir = argv[4], .domain_type = usher_host_domain_type ("auto", argv[1]) };
  UsherParentsConfig config = { .virt = driver.virt, .templates = driver.templates, .state_dir = argv[4], .deployment = argv[2],
                                .domain_type = driver.domain_type, .emulator = argv[5], .reserve_mib = 16 };
  driver.parents = usher_parents_new (&config, &error);
  if (driver.parents == NULL)
    {
      fprintf (stderr, "%s\n", error->message);
      return 1;
    }
  puts ("{\"ok\": true}");
  while (fflush (stdout) == 0 && fgets (line, sizeof line, stdin) != NULL)
    {
      json_auto_t *result = run_line (&driver, g_strchomp (line));
      g_autofree char *text = usher_json_to_line (result);
      puts (text);
    }
  usher_parents_free (driver.parents);
  usher_template_store_free (driver.templates);
  usher_virt_free (driver.virt);
  return 0;
}
