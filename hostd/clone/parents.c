#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fault.h"
#include "common/log.h"
#include "hostd/clone/forkable.h"
#include "hostd/clone/parents_private.h"
#include "hostd/clone/ram.h"
#include "hostd/storage/overlay.h"
#include "hostd/virt/agent.h"
#include "hostd/virt/hot.h"

#define EMULATOR "usher-emulator"
#define RECORD "parent.json"
/* At rest: uses less than this part of one processor between two questions; or has answered for so long that it won't
 * get calmer. */
#define REST_SHARE 0.25
#define REST_PATIENCE_S 45

/* ---- names and files ---- */

gboolean
usher_parent_failed (GError **error, const char *path)
{
  int number = errno;
  gboolean full = number == ENOSPC || number == EDQUOT;
  g_set_error (error, USHER_ERROR, full ? USHER_ERROR_EXHAUSTED : USHER_ERROR_INTERNAL, "%s%s: %s", full ? "disk full: " : "",
               path, g_strerror (number));
  return FALSE;
}

gboolean
usher_parent_flush (const char *path, GError **error)
{
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  gboolean done = fd >= 0 && fsync (fd) == 0;
  if (!done)
    usher_parent_failed (error, path);
  if (fd >= 0)
    close (fd);
  return done;
}

char *
usher_parent_name (const UsherParentKey *key)
{
  return g_strdup_printf ("%s-%" G_GINT64_FORMAT "-%" G_GINT64_FORMAT "-%" G_GINT64_FORMAT, key->template_name, key->template_version,
                          key->vcpus, key->ram_mib);
}

/* Takes the number behind the last dash off `name`; FALSE when there is none. */
static gboolean
take_number (char *name, gint64 *out)
{
  char *dash = strrchr (name, '-');
  if (dash == NULL || !g_ascii_string_to_signed (dash + 1, 10, 1, G_MAXINT32, out, NULL))
    return FALSE;
  *dash = '\0';
  return TRUE;
}

/* The key whose directory is called `name`; FALSE when none would be. */
static gboolean
parse_name (const char *name, UsherParentKey *out)
{
  g_autofree char *rest = g_strdup (name);
  UsherParentKey key = { 0 };
  if (!take_number (rest, &key.ram_mib) || !take_number (rest, &key.vcpus) || !take_number (rest, &key.template_version)
      || !usher_template_name_is_valid (rest))
    return FALSE;
  key.template_name = g_steal_pointer (&rest);
  *out = key;
  return TRUE;
}

char *
usher_parents_dup_path (const UsherParents *parents, const char *name, const char *file)
{
  return g_build_filename (parents->dir, name, file, NULL);
}

char *
usher_parents_dup_base (const UsherParents *parents, const char *generation)
{
  g_autofree char *file = g_strconcat (generation, ".qcow2", NULL);
  return g_build_filename (parents->bases, file, NULL);
}

static gboolean
is_frozen (const UsherParents *parents, const char *name)
{
  g_autofree char *path = usher_parents_dup_path (parents, name, RECORD);
  return g_file_test (path, G_FILE_TEST_EXISTS);
}

static int
remove_one (const char *path, const struct stat *found, int kind, struct FTW *place)
{
  return remove (path) == 0 || errno == ENOENT ? 0 : -1;
}

/* The directory and all in it; its record first, so that what is left of an interrupted removal counts as half made. */
static gboolean
remove_dir (const UsherParents *parents, const char *name, GError **error)
{
  g_autofree char *dir = usher_parents_dup_path (parents, name, NULL);
  g_autofree char *record = usher_parents_dup_path (parents, name, RECORD);
  if (unlink (record) < 0 && errno != ENOENT && errno != ENOTDIR)
    return usher_parent_failed (error, record);
  USHER_FAULT_POINT ("clone.parent.after_unrecord");
  if (nftw (dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0 && errno != ENOENT)
    return usher_parent_failed (error, dir);
  return TRUE;
}

/* A UUID that follows from deployment and key, so that a hostd that comes later finds the domain. */
static void
make_id (const UsherParents *parents, const char *name, char out[USHER_ID_SIZE])
{
  g_autofree char *text = g_strdup_printf ("usher parent\n%s\n%s", parents->deployment, name);
  g_autofree char *sum = g_compute_checksum_for_string (G_CHECKSUM_SHA256, text, -1);
  g_snprintf (out, USHER_ID_SIZE, "%.8s-%.4s-4%.3s-8%.3s-%.12s", sum, sum + 8, sum + 12, sum + 16, sum + 20);
}

/* ---- one parent ---- */

UsherParent *
usher_parent_new (UsherParents *parents, const UsherParentKey *key, GError **error)
{
  g_autoptr (UsherTemplateFiles) files
      = usher_template_store_open (parents->templates, key->template_name, key->template_version, error);
  if (files == NULL)
    return NULL;
  g_autofree char *objection = usher_clone_check_forkable (files->manifest, parents->domain_type, key->vcpus, key->ram_mib);
  if (objection != NULL)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_REFUSED, "%s", objection);
      return NULL;
    }
  UsherParent *parent = g_new0 (UsherParent, 1);
  parent->parents = parents;
  parent->key = *key;
  parent->key.template_name = g_strdup (key->template_name);
  parent->name = usher_parent_name (key);
  make_id (parents, parent->name, parent->id);
  parent->template = g_steal_pointer (&files);
  parent->ram = -1;
  return parent;
}

void
usher_parent_free (UsherParent *parent)
{
  if (parent->ram >= 0)
    close (parent->ram);
  usher_template_files_free (parent->template);
  g_free (parent->key.template_name);
  g_free (parent->name);
  g_free (parent->generation);
  g_free (parent->base);
  g_free (parent);
}

UsherDomainSpec
usher_parent_spec (const UsherParent *parent, const UsherDomainHot *hot, const char *disk, const char *serial, const char *secret)
{
  const UsherTemplateFiles *files = parent->template;
  const UsherTemplateManifest *manifest = files->manifest;
  return (UsherDomainSpec) {
    .id = parent->id, .name = parent->name, .deployment = parent->parents->deployment,
    .domain_type = parent->parents->domain_type, .machine = manifest->machine,
    .video = usher_template_video_name (manifest->video), .kernel = files->kernel, .initrd = files->initrd,
    .cmdline = manifest->cmdline, .disk = files->disk != NULL ? disk : NULL, .base = files->disk, .serial_log = serial,
    .first_secret = secret, .vcpus = parent->key.vcpus, .ram_mib = parent->key.ram_mib, .hot = hot,
  };
}

/* ---- the table ---- */

void
usher_parents_keep (UsherParents *parents, UsherParent *parent)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&parents->lock);
  g_hash_table_replace (parents->known, parent->name, parent);
}

static UsherParent *
find (UsherParents *parents, const char *name)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&parents->lock);
  return g_hash_table_lookup (parents->known, name);
}

UsherParent *
usher_parents_find_begun (UsherParents *parents, const UsherParentKey *key, GError **error)
{
  g_autofree char *name = usher_parent_name (key);
  UsherParent *parent = find (parents, name);
  if (parent != NULL && !parent->loaded)
    return parent;
  g_set_error (error, USHER_ERROR, USHER_ERROR_CONFLICT, "parent %s is not being built here", name);
  return NULL;
}

UsherParent *
usher_parents_hold (UsherParents *parents, const UsherParentKey *key)
{
  g_autofree char *name = usher_parent_name (key);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&parents->lock);
  UsherParent *parent = g_hash_table_lookup (parents->known, name);
  if (parent == NULL || !parent->loaded || parent->retiring)
    return NULL;
  parent->holds++;
  return parent;
}

void
usher_parent_release (UsherParent *parent)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&parent->parents->lock);
  parent->holds--;
}

const char *
usher_parent_get_disk (const UsherParent *parent)
{
  return parent->base;
}

/* ---- list ---- */

void
usher_parent_found_free (UsherParentFound *found)
{
  g_free (found->key.template_name);
  g_free (found);
}

static UsherParentFound *
look_at (UsherParents *parents, const char *name)
{
  UsherParentKey key;
  if (!parse_name (name, &key))
    return NULL;
  UsherParentFound *found = g_new0 (UsherParentFound, 1);
  found->key = key;
  gboolean frozen = is_frozen (parents, name);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&parents->lock);
  const UsherParent *parent = g_hash_table_lookup (parents->known, name);
  found->begun_here = parent != NULL && !parent->loaded;
  found->stage = parent != NULL && parent->loaded ? USHER_PARENT_LOADED
                 : frozen && parent == NULL ? USHER_PARENT_SAVED : USHER_PARENT_HALF;
  return found;
}

GPtrArray *
usher_parents_list (UsherParents *parents, GError **error)
{
  g_autoptr (GPtrArray) list = g_ptr_array_new_with_free_func ((GDestroyNotify) usher_parent_found_free);
  g_autoptr (GError) problem = NULL;
  g_autoptr (GDir) dir = g_dir_open (parents->dir, 0, &problem);
  if (dir == NULL)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "%s: %s", parents->dir, problem->message);
      return NULL;
    }
  for (const char *entry = g_dir_read_name (dir); entry != NULL; entry = g_dir_read_name (dir))
    {
      UsherParentFound *found = look_at (parents, entry);
      if (found != NULL)
        g_ptr_array_add (list, found);
    }
  return g_steal_pointer (&list);
}

/* ---- building ---- */

/* Room for the copy of its RAM and what it writes while it boots. */
static gboolean
enough_space (const UsherParents *parents, const UsherParentKey *key, GError **error)
{
  struct statvfs found;
  if (statvfs (parents->dir, &found) < 0)
    return TRUE; /* what could not be found out, writing will */
  gint64 free_mib = (gint64) ((guint64) found.f_bavail * found.f_frsize / (1024 * 1024));
  if (free_mib >= parents->reserve_mib + key->ram_mib)
    return TRUE;
  g_set_error (error, USHER_ERROR, USHER_ERROR_EXHAUSTED,
               "disk full: %" G_GINT64_FORMAT " MiB free in %s; a parent of %" G_GINT64_FORMAT " MiB needs as much beside the %"
               G_GINT64_FORMAT " that are kept", free_mib, parents->dir, key->ram_mib, parents->reserve_mib);
  return FALSE;
}

static gboolean
make_files (UsherParents *parents, UsherParent *parent, GError **error)
{
  g_autofree char *dir = usher_parents_dup_path (parents, parent->name, NULL);
  g_autofree char *disk = usher_parents_dup_path (parents, parent->name, "disk.qcow2");
  if (!enough_space (parents, &parent->key, error) || !usher_template_store_check_disk (parents->templates, parent->template, error))
    return FALSE;
  if (g_mkdir (dir, 0711) < 0)
    return usher_parent_failed (error, dir);
  USHER_FAULT_POINT ("clone.parent.after_dir");
  return parent->template->disk == NULL || usher_overlay_make (disk, parent->template->disk, error);
}

static gboolean
start (UsherParents *parents, UsherParent *parent, GError **error)
{
  char ticket[USHER_TOKEN_SIZE], secret[USHER_TOKEN_SIZE];
  g_autofree char *disk = usher_parents_dup_path (parents, parent->name, "disk.qcow2");
  g_autofree char *serial = usher_parents_dup_path (parents, parent->name, "serial.log");
  parent->ram = usher_ram_new (parent->name, parent->key.ram_mib, error);
  if (parent->ram < 0 || !usher_golden_announce (parents->golden, parent->id, parent->ram, USHER_PARENT_START_S, ticket, error))
    return FALSE;
  usher_token_new (secret);
  UsherDomainHot hot = { .parent = TRUE, .emulator = parents->emulator, .socket = usher_golden_get_path (parents->golden),
                         .ticket = ticket, .elastic_mib = usher_clone_elastic_mib (parent->key.ram_mib) };
  UsherDomainSpec spec = usher_parent_spec (parent, &hot, disk, serial, secret);
  gboolean started = usher_virt_start_hot (parents->virt, &spec, error);
  usher_golden_withdraw (parents->golden, parent->id);
  return started;
}

/* Ends what is begun of `name`, whoever began it. */
static gboolean
clear (UsherParents *parents, const char *name, GError **error)
{
  char id[USHER_ID_SIZE];
  make_id (parents, name, id);
  if (parents->golden != NULL && !usher_virt_destroy (parents->virt, id, error))
    return FALSE;
  USHER_FAULT_POINT ("clone.parent.after_clear");
  if (!remove_dir (parents, name, error))
    return FALSE;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&parents->lock);
  g_hash_table_remove (parents->known, name);
  return TRUE;
}

gboolean
usher_parents_discard (UsherParents *parents, const UsherParentKey *key, GError **error)
{
  g_autofree char *name = usher_parent_name (key);
  if (!is_frozen (parents, name))
    return clear (parents, name, error);
  g_set_error (error, USHER_ERROR, USHER_ERROR_CONFLICT, "parent %s is frozen", name);
  return FALSE;
}

/* Leaves nothing when it fails. */
static gboolean
build (UsherParents *parents, UsherParent *parent, GError **error)
{
  if (make_files (parents, parent, error) && start (parents, parent, error))
    return TRUE;
  clear (parents, parent->name, NULL);
  return FALSE;
}

gboolean
usher_parents_begin (UsherParents *parents, const UsherParentKey *key, GError **error)
{
  UsherParent *parent = usher_parent_new (parents, key, error);
  if (parent == NULL)
    return FALSE;
  if (!usher_parents_discard (parents, key, error) || !build (parents, parent, error))
    {
      usher_parent_free (parent);
      return FALSE;
    }
  USHER_FAULT_POINT ("clone.parent.started");
  usher_log (USHER_LOG_INFO, NULL, "parent %s is booting", parent->name);
  usher_parents_keep (parents, parent);
  return TRUE;
}

/* Whether the guest has come to rest since the last question; *out FALSE at the first one. */
static gboolean
at_rest (UsherParents *parents, UsherParent *parent, gboolean *out, GError **error)
{
  gint64 cpu_ns, now_us = g_get_monotonic_time ();
  if (!usher_virt_cpu_time (parents->virt, parent->id, &cpu_ns, error))
    return FALSE;
  double share = (double) (cpu_ns - parent->cpu_ns) / (double) MAX (1, (now_us - parent->asked_us) * 1000);
  *out = parent->asked_us != 0 && share < REST_SHARE;
  parent->cpu_ns = cpu_ns;
  parent->asked_us = now_us;
  return TRUE;
}

gboolean
usher_parents_is_ready (UsherParents *parents, const UsherParentKey *key, gboolean *out_ready, GError **error)
{
  gboolean rests, answers = FALSE;
  g_autoptr (GError) problem = NULL;
  UsherParent *parent = usher_parents_find_begun (parents, key, error);
  if (parent == NULL)
    return FALSE;
  if (!at_rest (parents, parent, &rests, &problem) || !usher_virt_ping (parents->virt, parent->id, &answers, &problem))
    {
      if (g_error_matches (problem, USHER_ERROR, USHER_ERROR_MISSING))
        g_set_error (error, USHER_ERROR, USHER_ERROR_CONFLICT, "the domain of parent %s has ended", parent->name);
      else
        g_propagate_error (error, g_steal_pointer (&problem));
      return FALSE;
    }
  if (answers && parent->answered_us == 0)
    parent->answered_us = parent->asked_us;
  gboolean patient = parent->asked_us - parent->answered_us < (gint64) REST_PATIENCE_S * G_USEC_PER_SEC;
  *out_ready = answers && (rests || !patient);
  return TRUE;
}

/* ---- retiring ---- */

/* Takes it out of the table, unless it is held. */
static gboolean
let_go (UsherParents *parents, const char *name)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&parents->lock);
  UsherParent *parent = g_hash_table_lookup (parents->known, name);
  if (parent == NULL)
    return TRUE;
  parent->retiring = TRUE;
  return parent->holds == 0 && g_hash_table_remove (parents->known, name);
}

gboolean
usher_parents_retire (UsherParents *parents, const UsherParentKey *key, GError **error)
{
  g_autofree char *name = usher_parent_name (key);
  UsherParentRecord record = { 0 };
  if (!is_frozen (parents, name))
    return clear (parents, name, error);
  if (!let_go (parents, name))
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_BUSY, "a desktop is just being forked from parent %s", name);
      return FALSE;
    }
  if (usher_parent_record_read (parents, name, &record, NULL))
    usher_fd_store_drop (parents->store, record.generation);
  usher_parent_record_clear (&record);
  if (!remove_dir (parents, name, error))
    return FALSE;
  usher_log (USHER_LOG_INFO, NULL, "parent %s is retired", name);
  g_autoptr (GError) problem = NULL;
  if (!usher_parents_collect (parents, &problem)) /* it is retired all the same; its disk goes another time */
    usher_log (USHER_LOG_WARNING, NULL, "frozen disks are kept: %s", problem->message);
  return TRUE;
}

/* ---- life ---- */

/* Beside this program (a build tree), else where it is installed. */
static char *
find_emulator (const char *given)
{
  if (given != NULL)
    return g_strdup (given);
  g_autofree char *self = g_file_read_link ("/proc/self/exe", NULL);
  g_autofree char *dir = self != NULL ? g_path_get_dirname (self) : g_strdup ("/");
  char *beside = g_build_filename (dir, EMULATOR, NULL);
  if (g_file_test (beside, G_FILE_TEST_IS_EXECUTABLE))
    return beside;
  g_free (beside);
  return g_strdup (USHER_EMULATOR_PATH);
}

static gboolean
make_dir (const char *path, GError **error)
{
  return g_mkdir_with_parents (path, 0711) == 0 || usher_parent_failed (error, path);
}

UsherParents *
usher_parents_new (const UsherParentsConfig *config, GError **error)
{
  g_autoptr (UsherParents) parents = g_new0 (UsherParents, 1);
  g_autofree char *socket_path = g_build_filename (config->state_dir, "golden.sock", NULL);
  parents->virt = config->virt;
  parents->templates = config->templates;
  parents->deployment = g_strdup (config->deployment);
  parents->domain_type = g_strdup (config->domain_type);
  parents->emulator = find_emulator (config->emulator);
  parents->dir = g_build_filename (config->state_dir, "parents", NULL);
  parents->bases = g_build_filename (config->state_dir, "bases", NULL);
  parents->desktops = g_build_filename (config->state_dir, "desktops", NULL);
  parents->reserve_mib = config->reserve_mib;
  parents->store = usher_fd_store_new ();
  parents->known = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) usher_parent_free);
  g_mutex_init (&parents->lock);
  if (!make_dir (parents->dir, error) || !make_dir (parents->bases, error))
    return NULL;
  if (g_str_equal (parents->domain_type, "test"))
    return g_steal_pointer (&parents);
  parents->golden = usher_golden_new (socket_path, parents->emulator, error);
  return parents->golden != NULL ? g_steal_pointer (&parents) : NULL;
}

void
usher_parents_free (UsherParents *parents)
{
  g_clear_pointer (&parents->golden, usher_golden_free);
  g_hash_table_unref (parents->known);
  usher_fd_store_free (parents->store);
  g_mutex_clear (&parents->lock);
  char *const texts[] = { parents->deployment, parents->domain_type, parents->emulator, parents->dir, parents->bases,
                          parents->desktops };
  for (gsize i = 0; i < G_N_ELEMENTS (texts); i++)
    g_free (texts[i]);
  g_free (parents);
}
