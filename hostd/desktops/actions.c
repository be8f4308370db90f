#include "hostd/desktops/actions.h"

#include "common/error.h"
#include "common/fault.h"
#include "common/log.h"
#include "hostd/clone/fork.h"
#include "hostd/storage/console_file.h"
#include "hostd/storage/overlay.h"

/* What the action knows beside its job: the state it found. */
typedef struct {
  const UsherJob *job;
  const UsherGround *ground;
  UsherDesktopFiles files;
  UsherDomainFacts domain;
  char **note;
} Work;

UsherJob *
usher_job_new (const UsherGround *ground, UsherAction action, const char *id, const UsherWantedDesktop *wanted)
{
  UsherJob *job = g_new0 (UsherJob, 1);
  job->ground = ground;
  job->action = action;
  g_strlcpy (job->id, id, sizeof job->id);
  if (wanted == NULL)
    return job;
  job->name = g_strdup (wanted->name);
  job->template_name = g_strdup (wanted->template_name);
  job->user = g_strdup (wanted->user);
  job->template_version = wanted->template_version;
  job->vcpus = wanted->vcpus;
  job->ram_mib = wanted->ram_mib;
  job->restart_revision = wanted->restart_revision;
  job->console_revision = wanted->console_revision;
  job->console_valid_until = wanted->console_valid_until;
  job->system_revision = wanted->system_revision;
  job->data_gib = wanted->data_gib;
  if (action == USHER_DO_SET_CONSOLE)
    job->console_secret = usher_secret_new_string (wanted->console_secret);
  return job;
}

void
usher_job_free (UsherJob *job)
{
  g_free (job->name);
  g_free (job->template_name);
  g_free (job->user);
  g_free (job->clone_reason);
  g_clear_pointer (&job->parent, usher_parent_release);
  g_clear_pointer (&job->console_secret, usher_secret_free);
  g_free (job);
}

void
usher_outcome_free (UsherOutcome *outcome)
{
  g_clear_error (&outcome->failure);
  g_clear_error (&outcome->blind);
  g_free (outcome->note);
  g_free (outcome);
}

static gint64
now_s (void)
{
  return g_get_real_time () / G_USEC_PER_SEC;
}

static gboolean
is_test (const UsherGround *ground)
{
  return g_str_equal (ground->domain_type, "test");
}

static UsherTemplateFiles *
open_template (const Work *work, const char *name, gint64 version, GError **error)
{
  return usher_template_store_open (work->ground->templates, name, version, error);
}

/* ---- actions ---- */

static gboolean
check_name (const UsherJob *job, GError **error)
{
  if (usher_template_name_is_valid (job->name)) /* the same rule; it goes into the kernel's command line */
    return TRUE;
  g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "«%s» cannot be a guest's host name", job->name);
  return FALSE;
}

/* The record of the system that is to be made, with what goes on from `before` when there was one. Free it. */
static UsherDesktopRecord *
new_record (const Work *work, const UsherTemplateManifest *manifest, UsherCloneKind clone)
{
  const UsherJob *job = work->job;
  const UsherDesktopRecord *before = work->files.record;
  UsherDesktopRecord *record = g_new0 (UsherDesktopRecord, 1);
  *record = (UsherDesktopRecord) {
    .name = g_strdup (job->name), .template_name = g_strdup (job->template_name), .template_version = job->template_version,
    .vcpus = job->vcpus, .ram_mib = job->ram_mib, .has_disk = manifest->disk_file != NULL,
    /* libvirt's test driver runs no guest that could answer */
    .ready = is_test (work->ground) ? USHER_TEMPLATE_READY_RUNNING : manifest->ready,
    .ready_timeout_s = manifest->ready_timeout_s, .restart_revision = job->restart_revision,
    .system_revision = job->system_revision, .data_gib = job->data_gib, .clone = clone, .clone_reason = g_strdup (job->clone_reason != NULL ? job->clone_reason : ""),
  };
  if (before == NULL)
    return record;
  record->starts = before->starts;
  record->data_gib = before->data_gib > 0 ? before->data_gib : job->data_gib; /* a data disk stays, whatever is wanted now */
  if (before->starts > 0)
    record->reason = g_strdup (work->files.disk_lost ? "its system disk was gone: it has a fresh one, and its data"
                                                     : "it has a fresh system");
  return record;
}

static gboolean
make_clone (Work *work, GError **error)
{
  const UsherJob *job = work->job;
  g_autoptr (UsherTemplateFiles) files = check_name (job, error)
                                           ? open_template (work, job->template_name, job->template_version, error) : NULL;
  if (files == NULL || !usher_template_store_check_disk (work->ground->templates, files, error))
    return FALSE;
  gboolean again = work->files.record != NULL;
  g_autoptr (UsherDesktopRecord) record = new_record (work, files->manifest, USHER_CLONE_LINKED);
  if (!usher_desktop_dirs_make (work->ground->dirs, job->id, files->disk, work->files.record, record, error))
    return FALSE;
  if (again)
    USHER_FAULT_POINT ("hostd.renew.after_record");
  return TRUE;
}

/* Brings the record up to date with what is wanted and this start, and writes it. */
static gboolean
record_start (Work *work, GError **error)
{
  const UsherJob *job = work->job;
  UsherDesktopRecord *record = work->files.record;
  if (record->starts > 0 && record->started_at > 0) /* else the system was just made, and the record says so */
    {
      g_free (record->reason);
      record->reason = g_strdup_printf ("started again: its machine was %s",
                         work->domain.state == USHER_DOMAIN_NONE ? "gone" : *work->domain.why != '\0' ? work->domain.why : "off");
    }
  if (record->starts > 0)
    *work->note = g_strdup (record->reason);
  record->starts++;
  record->started_at = now_s ();
  record->vcpus = job->vcpus;
  record->ram_mib = job->ram_mib;
  record->restart_revision = MAX (record->restart_revision, job->restart_revision); /* this start is that restart */
  return usher_desktop_dirs_write_record (work->ground->dirs, job->id, record, error);
}

/* What a domain is made from, and what that borrows. */
typedef struct {
  UsherDomainSpec spec;
  char secret[USHER_TOKEN_SIZE];
  char *disk, *data, *serial, *network, *base, *base_below;
} Definition;

static void
definition_clear (Definition *definition)
{
  g_free (definition->disk);
  g_free (definition->data);
  g_free (definition->serial);
  g_free (definition->network);
  g_free (definition->base);
  g_free (definition->base_below);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Definition, definition_clear)

static char *
dup_path (const Work *work, gboolean if_any, const char *file)
{
  return if_any ? usher_desktop_dirs_dup_path (work->ground->dirs, work->job->id, file) : NULL;
}

static void
describe (Work *work, const UsherDesktopRecord *record, const UsherTemplateFiles *files, Definition *out)
{
  const UsherTemplateManifest *manifest = files->manifest;
  usher_token_new (out->secret);
  out->disk = dup_path (work, record->has_disk, "disk.qcow2");
  out->data = dup_path (work, record->data_gib > 0, "data.qcow2");
  out->serial = dup_path (work, TRUE, "serial.log");
  out->network = usher_virt_find_network (work->ground->virt);
  if (out->network == NULL)
    usher_log (USHER_LOG_WARNING, &(UsherLogContext) { .desktop = work->job->id },
               "libvirt has no active network «default»: the desktop gets no network card");
  out->spec = (UsherDomainSpec) {
    .id = work->job->id, .name = record->name, .deployment = work->ground->deployment, .domain_type = work->ground->domain_type,
    .machine = manifest->machine, .uefi = manifest->firmware == USHER_TEMPLATE_FIRMWARE_UEFI,
    .video = usher_template_video_name (manifest->video), .kernel = files->kernel, .initrd = files->initrd, .cmdline = manifest->cmdline, .disk = out->disk, .data = out->data,
    .serial_log = out->serial, .network = out->network, .first_secret = out->secret, .vcpus = record->vcpus,
    .ram_mib = record->ram_mib,
  };
}

/* What its disk stands on, as the disk itself says: the template's disk, or with one that was forked the frozen disk of its parent, which
 * stands on that. Any other answer would have the guest read another disk. */
static gboolean
find_bases (Definition *definition, GError **error)
{
  if (definition->disk == NULL)
    return TRUE;
  if (!usher_overlay_read_base (definition->disk, &definition->base, error)
      || (definition->base != NULL && !usher_overlay_read_base (definition->base, &definition->base_below, error)))
    return FALSE;
  definition->spec.base = definition->base;
  definition->spec.base_below = definition->base_below;
  return TRUE;
}

static gboolean
define (Work *work, const UsherTemplateFiles *files, GError **error)
{
  g_auto (Definition) definition = { 0 };
  describe (work, work->files.record, files, &definition);
  if (!find_bases (&definition, error))
    return FALSE;
  return usher_virt_define (work->ground->virt, &definition.spec, error);
}

static gboolean
define_and_start (Work *work, const UsherTemplateFiles *files, GError **error)
{
  if (!define (work, files, error))
    return FALSE;
  USHER_FAULT_POINT ("hostd.start.after_define");
  return usher_virt_start (work->ground->virt, work->job->id, error);
}

static gboolean
start (Work *work, GError **error)
{
  const UsherJob *job = work->job;
  UsherDesktopRecord *record = work->files.record;
  if (record == NULL)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_CONFLICT, "its record vanished");
      return FALSE;
    }
  g_autoptr (UsherTemplateFiles) files = open_template (work, record->template_name, record->template_version, error);
  if (files == NULL || !record_start (work, error))
    return FALSE;
  USHER_FAULT_POINT ("hostd.start.after_record");
  if (!define_and_start (work, files, error))
    {
      record->starts--;
      usher_desktop_dirs_write_record (work->ground->dirs, job->id, record, NULL); /* at worst it counts one too many */
      return FALSE;
    }
  USHER_FAULT_POINT ("hostd.start.after_start");
  UsherDomainRun run = { .start = record->starts, .started_at = record->started_at };
  return usher_virt_set_run (work->ground->virt, job->id, &run, error);
}

/* Makes it and has it running, ready, at the end. Until the record says that it is made, nobody has used it: what is
 * found of it then is thrown away. */
static gboolean
make_fork (Work *work, GError **error)
{
  const UsherJob *job = work->job;
  g_autoptr (UsherTemplateFiles) files = check_name (job, error)
                                           ? open_template (work, job->template_name, job->template_version, error) : NULL;
  if (files == NULL)
    return FALSE;
  g_auto (Definition) definition = { 0 };
  g_autoptr (UsherDesktopRecord) record = new_record (work, files->manifest, USHER_CLONE_INSTANT);
  record->making = TRUE;
  record->system_revision = work->files.record != NULL ? work->files.record->system_revision : 0; /* not carried out yet */
  if (!usher_desktop_dirs_make (work->ground->dirs, job->id, NULL, work->files.record, record, error))
    return FALSE;
  USHER_FAULT_POINT ("hostd.fork.after_record");
  describe (work, record, files, &definition);
  UsherForkOrder order = { .user = job->user, .start = record->starts + 1, .started_at = now_s () };
  if (!usher_clone_fork (work->ground->parents, job->parent, &definition.spec, &order, error))
    return FALSE;
  USHER_FAULT_POINT ("hostd.fork.after_fork");
  record->making = FALSE;
  record->system_revision = job->system_revision;
  record->user = g_strdup (job->user);
  record->starts = order.start;
  record->started_at = order.started_at;
  if (!usher_desktop_dirs_write_record (work->ground->dirs, job->id, record, error))
    return FALSE;
  USHER_FAULT_POINT ("hostd.fork.after_made");
  return TRUE;
}

static gboolean
resume (Work *work, GError **error)
{
  return usher_virt_resume (work->ground->virt, work->job->id, error);
}

static gboolean
set_run (const Work *work, const UsherDomainRun *run, GError **error)
{
  return usher_virt_set_run (work->ground->virt, work->job->id, run, error);
}

static gboolean
ping (Work *work, GError **error)
{
  gboolean answers = TRUE;
  UsherDomainRun run = work->domain.run;
  if (work->files.record == NULL || work->domain.state != USHER_DOMAIN_RUNNING)
    return TRUE; /* it changed meanwhile: the look will say */
  if (work->files.record->ready == USHER_TEMPLATE_READY_AGENT
      && !usher_virt_ping (work->ground->virt, work->job->id, &answers, error))
    return FALSE;
  run.ready = TRUE;
  return !answers || set_run (work, &run, error);
}

static gboolean
set_console (Work *work, GError **error)
{
  const UsherJob *job = work->job;
  UsherDomainRun run = work->domain.run;
  if (work->domain.state != USHER_DOMAIN_RUNNING)
    return TRUE;
  if (!usher_virt_set_console (work->ground->virt, job->id, usher_secret_peek (job->console_secret), job->console_valid_until, error))
    return FALSE;
  USHER_FAULT_POINT ("hostd.console.after_set");
  run.console_revision = job->console_revision;
  return set_run (work, &run, error);
}

/* Told once, best effort: a guest that cannot be told is as good a desktop. */
static gboolean
tell_user (Work *work, GError **error)
{
  const UsherJob *job = work->job;
  UsherDesktopRecord *record = work->files.record;
  g_autoptr (GError) problem = NULL;
  if (record == NULL || work->domain.state != USHER_DOMAIN_RUNNING)
    return TRUE;
  if (!usher_clone_tell_user (work->ground->virt, job->id, job->user, &problem))
    usher_log (USHER_LOG_NOTICE, &(UsherLogContext) { .desktop = job->id }, "its guest was not told whose it is: %s", problem->message);
  USHER_FAULT_POINT ("hostd.user.told");
  g_free (record->user);
  record->user = g_strdup (job->user);
  return usher_desktop_dirs_write_record (work->ground->dirs, job->id, record, error);
}

static gboolean
note_restart (Work *work, GError **error)
{
  UsherDomainRun run = work->domain.run;
  if (work->files.record == NULL || work->domain.state != USHER_DOMAIN_RUNNING)
    return TRUE;
  run.ready = FALSE;
  run.started_at = now_s ();
  if (!set_run (work, &run, error))
    return FALSE;
  USHER_FAULT_POINT ("hostd.restart.before_record");
  work->files.record->restart_revision = work->job->restart_revision;
  return usher_desktop_dirs_write_record (work->ground->dirs, work->job->id, work->files.record, error);
}

static gboolean
reboot (Work *work, GError **error)
{
  /* A guest that can't be asked is reset when its time is up, as one that does not listen. */
  usher_virt_reboot (work->ground->virt, work->job->id, NULL);
  return TRUE;
}

static gboolean
reset (Work *work, GError **error)
{
  /* The test driver cannot reset: there is nothing inside that would notice. */
  if (!is_test (work->ground) && !usher_virt_reset (work->ground->virt, work->job->id, error))
    return FALSE;
  return note_restart (work, error);
}

static gboolean
ask_shutdown (Work *work, GError **error)
{
  usher_virt_shutdown (work->ground->virt, work->job->id, NULL); /* as with reboot() */
  return TRUE;
}

static gboolean
destroy (Work *work, GError **error)
{
  if (!usher_virt_destroy (work->ground->virt, work->job->id, error))
    return FALSE;
  USHER_FAULT_POINT ("hostd.delete.after_destroy");
  return TRUE;
}

static gboolean
undefine (Work *work, GError **error)
{
  if (!usher_virt_undefine (work->ground->virt, work->job->id, error))
    return FALSE;
  USHER_FAULT_POINT ("hostd.delete.after_undefine");
  return TRUE;
}

static gboolean
remove_dir (Work *work, GError **error)
{
  return usher_desktop_dirs_remove (work->ground->dirs, work->job->id, error);
}

static gboolean (*const funcs[]) (Work *work, GError **error) = {
  [USHER_DO_CLONE] = make_clone, [USHER_DO_START] = start,
  [USHER_DO_FORK] = make_fork,
  [USHER_DO_RESUME] = resume,   [USHER_DO_PING] = ping,
  [USHER_DO_SET_CONSOLE] = set_console, [USHER_DO_TELL_USER] = tell_user,
  [USHER_DO_REBOOT] = reboot,
  [USHER_DO_RESET] = reset,     [USHER_DO_NOTE_RESTART] = note_restart,
  [USHER_DO_SHUTDOWN] = ask_shutdown,   [USHER_DO_DESTROY] = destroy,
  [USHER_DO_UNDEFINE] = undefine,       [USHER_DO_REMOVE] = remove_dir,
};

/* ---- looking ---- */

static const UsherMachine machines[] = {
  [USHER_DOMAIN_NONE] = USHER_MACHINE_NONE,       [USHER_DOMAIN_FOREIGN] = USHER_MACHINE_FOREIGN,
  [USHER_DOMAIN_OFF] = USHER_MACHINE_OFF,         [USHER_DOMAIN_RUNNING] = USHER_MACHINE_RUNNING,
  [USHER_DOMAIN_PAUSED] = USHER_MACHINE_PAUSED,
};

static gboolean
look (Work *work, GError **error)
{
  usher_desktop_files_clear (&work->files);
  return usher_virt_look (work->ground->virt, work->job->id, &work->domain, error)
         && usher_desktop_dirs_look (work->ground->dirs, work->job->id, &work->files, error);
}

/* A system without which its person loses nothing: it is being made, or another in its place was always to be expected. */
static gboolean
is_expendable (const UsherDesktopRecord *record)
{
  return record->making || record->data_gib > 0;
}

/* What keeps it from being started, or cloned anew: a blank disk in the place of a lost one would hide the loss. */
static const char *
damage_of (const Work *work)
{
  const UsherDesktopFiles *files = &work->files;
  if (files->damaged)
    return "its record on this host cannot be read";
  if (files->data_lost)
    return "its data disk is gone from this host";
  /* The record is there before the domain is first defined, and goes after it. */
  if (files->record == NULL ? work->domain.state == USHER_DOMAIN_OFF : files->disk_lost && !is_expendable (files->record))
    return "its disk is gone from this host";
  return NULL;
}

static UsherFacts
facts_of (const Work *work)
{
  const UsherDesktopRecord *record = work->files.record;
  UsherFacts facts = {
    .known = TRUE, .has_dir = work->files.exists, .damage = damage_of (work),
    .machine = machines[work->domain.state], .machine_why = work->domain.why, .spice_port = work->domain.spice_port,
    .ready = work->domain.run.ready, .run_start = work->domain.run.start, .run_started_at_s = work->domain.run.started_at,
    .console_revision = work->domain.run.console_revision,
  };
  if (record == NULL)
    return facts;
  facts.making = record->making;
  facts.made = !record->making && !(work->files.disk_lost && is_expendable (record));
  facts.starts = record->starts;
  facts.system_revision = record->system_revision;
  facts.clone = record->clone;
  g_strlcpy (facts.clone_reason, record->clone_reason, sizeof facts.clone_reason);
  g_strlcpy (facts.user, record->user != NULL ? record->user : "", sizeof facts.user);
  g_strlcpy (facts.start_reason, record->reason, sizeof facts.start_reason);
  facts.restart_revision = record->restart_revision;
  facts.ready_timeout_s = record->ready_timeout_s;
  facts.ready_by_agent = record->ready == USHER_TEMPLATE_READY_AGENT;
  if (facts.run_started_at_s == 0)
    facts.run_started_at_s = record->started_at; /* killed between start and note */
  return facts;
}

/* Looks, and makes the console file say what is seen. */
static gboolean
look_and_publish (Work *work, UsherFacts *out, GError **error)
{
  if (!look (work, error)
      || !usher_console_file_set (work->ground->consoles_dir, work->job->id, work->domain.spice_port, error))
    return FALSE;
  *out = facts_of (work);
  return TRUE;
}

UsherOutcome *
usher_job_run (const UsherJob *job)
{
  UsherOutcome *outcome = g_new0 (UsherOutcome, 1);
  Work work = { .job = job, .ground = job->ground, .note = &outcome->note };
  if (funcs[job->action] != NULL && look (&work, &outcome->failure))
    {
      /* The door must not find a console that is about to end. */
      if (job->action == USHER_DO_DESTROY)
        usher_console_file_set (work.ground->consoles_dir, job->id, 0, NULL);
      funcs[job->action](&work, &outcome->failure);
    }
  outcome->looked = look_and_publish (&work, &outcome->facts, &outcome->blind);
  usher_desktop_files_clear (&work.files);
  return outcome;
}

static void
add_all (GHashTable *into, char **ids)
{
  for (gsize i = 0; ids[i] != NULL; i++)
    g_hash_table_add (into, g_strdup (ids[i]));
}

char **
usher_ground_scan (const UsherGround *ground, GError **error)
{
  g_auto (GStrv) domains = usher_virt_list (ground->virt, error);
  g_auto (GStrv) dirs = domains != NULL ? usher_desktop_dirs_list (ground->dirs, error) : NULL;
  g_auto (GStrv) consoles = dirs != NULL ? usher_console_files_list (ground->consoles_dir, error) : NULL;
  if (consoles == NULL)
    return NULL;
  g_autoptr (GHashTable) all = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  add_all (all, domains);
  add_all (all, dirs);
  add_all (all, consoles);
  g_autofree gpointer *ids = g_hash_table_get_keys_as_array (all, NULL);
  return g_strdupv ((char **) ids);
}
