#include "hostd/storage/desktop_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glib/gstdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fault.h"
#include "common/json.h"
#include "hostd/storage/command.h"
#include "hostd/storage/record.h"

#define RECORD "desktop.json"
#define DISK "disk.qcow2"
#define HALF_DISK "disk.qcow2.new"
#define CLONE_TIMEOUT_S 60

struct _UsherDesktopDirs {
  char *path; /* STATE/desktops */
  gint64 reserve_mib;
};

UsherDesktopDirs *
usher_desktop_dirs_new (const char *state_dir, gint64 reserve_mib)
{
  UsherDesktopDirs *dirs = g_new0 (UsherDesktopDirs, 1);
  dirs->path = g_build_filename (state_dir, "desktops", NULL);
  dirs->reserve_mib = reserve_mib;
  return dirs;
}

void
usher_desktop_dirs_free (UsherDesktopDirs *dirs)
{
  g_free (dirs->path);
  g_free (dirs);
}

void
usher_desktop_files_clear (UsherDesktopFiles *files)
{
  g_clear_pointer (&files->record, usher_desktop_record_free);
}

/* An error of the file system: a full disk is told apart. Returns FALSE. */
static gboolean
failed (GError **error, const char *path)
{
  int number = errno;
  gboolean full = number == ENOSPC || number == EDQUOT;
  g_set_error (error, USHER_ERROR, full ? USHER_ERROR_EXHAUSTED : USHER_ERROR_INTERNAL, "%s%s: %s", full ? "disk full: " : "",
               path, g_strerror (number));
  return FALSE;
}

char *
usher_desktop_dirs_dup_path (UsherDesktopDirs *dirs, const char *id, const char *file)
{
  return g_build_filename (dirs->path, id, file, NULL);
}

/* Makes a directory that QEMU's user may pass through and not list. */
static gboolean
make_dir (const char *path, GError **error)
{
  if (g_mkdir_with_parents (path, 0711) == 0)
    return TRUE;
  return failed (error, path);
}

char **
usher_desktop_dirs_list (UsherDesktopDirs *dirs, GError **error)
{
  g_autoptr (GError) problem = NULL;
  g_autoptr (GStrvBuilder) ids = g_strv_builder_new ();
  if (!make_dir (dirs->path, error))
    return NULL;
  g_autoptr (GDir) dir = g_dir_open (dirs->path, 0, &problem);
  if (dir == NULL)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "%s: %s", dirs->path, problem->message);
      return NULL;
    }
  for (const char *entry = g_dir_read_name (dir); entry != NULL; entry = g_dir_read_name (dir))
    if (usher_id_is_valid (entry))
      g_strv_builder_add (ids, entry);
  return g_strv_builder_end (ids);
}

gboolean
usher_desktop_dirs_look (UsherDesktopDirs *dirs, const char *id, UsherDesktopFiles *out, GError **error)
{
  g_autofree char *dir = usher_desktop_dirs_dup_path (dirs, id, NULL);
  g_autofree char *path = usher_desktop_dirs_dup_path (dirs, id, RECORD);
  g_autofree char *disk = usher_desktop_dirs_dup_path (dirs, id, DISK);
  g_autoptr (GError) problem = NULL;
  UsherDesktopFiles files = { .exists = g_file_test (dir, G_FILE_TEST_IS_DIR) };
  json_auto_t *json = usher_json_read_file (path, &problem);
  if (json != NULL)
    files.record = usher_desktop_record_from_json (json, path, &problem);
  files.damaged = g_error_matches (problem, USHER_ERROR, USHER_ERROR_INVALID);
  if (problem != NULL && !files.damaged && !g_error_matches (problem, USHER_ERROR, USHER_ERROR_MISSING))
    {
      g_propagate_error (error, g_steal_pointer (&problem));
      return FALSE;
    }
  files.disk_lost = files.record != NULL && files.record->has_disk && !g_file_test (disk, G_FILE_TEST_EXISTS);
  *out = files;
  return TRUE;
}

gint64
usher_desktop_dirs_free_mib (UsherDesktopDirs *dirs)
{
  struct statvfs found;
  g_mkdir_with_parents (dirs->path, 0711); /* a host that holds nothing yet is not one without room */
  if (statvfs (dirs->path, &found) < 0)
    return -1;
  return (gint64) ((guint64) found.f_bavail * found.f_frsize / (1024 * 1024));
}

/* ---- cloning ---- */

static gboolean
enough_space (UsherDesktopDirs *dirs, GError **error)
{
  gint64 free_mib = usher_desktop_dirs_free_mib (dirs);
  if (free_mib < 0 || free_mib >= dirs->reserve_mib)
    return TRUE; /* what could not be found out, the clone itself will */
  g_set_error (error, USHER_ERROR, USHER_ERROR_EXHAUSTED,
               "disk full: %" G_GINT64_FORMAT " MiB free in %s, and %" G_GINT64_FORMAT " MiB are kept", free_mib, dirs->path,
               dirs->reserve_mib);
  return FALSE;
}

/* Flushes a file or a directory to the disk. */
static gboolean
flush (const char *path, GError **error)
{
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  gboolean done = fd >= 0 && fsync (fd) == 0;
  if (!done)
    failed (error, path);
  if (fd >= 0)
    close (fd);
  return done;
}

/* Says of an error of qemu-img what it is about. */
static gboolean
clone_failed (GError *problem, const char *base, GError **error)
{
  const char *prefix = g_error_matches (problem, USHER_ERROR, USHER_ERROR_EXHAUSTED) ? "disk full: "
                       : g_error_matches (problem, USHER_ERROR, USHER_ERROR_INTERNAL) ? "broken image: " : "";
  g_propagate_prefixed_error (error, problem, "%scloning %s: ", prefix, base);
  return FALSE;
}

/* The overlay appears under its name whole or not at all. */
static gboolean
make_overlay (UsherDesktopDirs *dirs, const char *id, const char *base, GError **error)
{
  g_autofree char *half = usher_desktop_dirs_dup_path (dirs, id, HALF_DISK);
  g_autofree char *disk = usher_desktop_dirs_dup_path (dirs, id, DISK);
  const char *const argv[] = { "qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, half, NULL };
  GError *problem = NULL;
  if (unlink (half) < 0 && errno != ENOENT)
    return failed (error, half);
  if (!usher_command_run (argv, CLONE_TIMEOUT_S, &problem))
    {
      unlink (half);
      return clone_failed (problem, base, error);
    }
  USHER_FAULT_POINT ("hostd.clone.after_overlay");
  if (!flush (half, error))
    return FALSE;
  if (rename (half, disk) < 0)
    return failed (error, disk);
  return TRUE;
}

gboolean
usher_desktop_dirs_clone (UsherDesktopDirs *dirs, const char *id, UsherTemplateStore *store, const UsherTemplateFiles *files,
                          const UsherDesktopRecord *record, GError **error)
{
  g_autofree char *dir = usher_desktop_dirs_dup_path (dirs, id, NULL);
  if (!enough_space (dirs, error) || !usher_template_store_check_disk (store, files, error) || !make_dir (dir, error))
    return FALSE;
  USHER_FAULT_POINT ("hostd.clone.after_dir");
  if (files->disk != NULL && !make_overlay (dirs, id, files->disk, error))
    return FALSE;
  USHER_FAULT_POINT ("hostd.clone.after_disk");
  if (!usher_desktop_dirs_write_record (dirs, id, record, error))
    return FALSE;
  USHER_FAULT_POINT ("hostd.clone.after_record");
  return flush (dir, error);
}

gboolean
usher_desktop_dirs_write_record (UsherDesktopDirs *dirs, const char *id, const UsherDesktopRecord *record, GError **error)
{
  g_autofree char *path = usher_desktop_dirs_dup_path (dirs, id, RECORD);
  json_auto_t *json = usher_desktop_record_to_json (record);
  return usher_json_write_file (path, json, 0600, error);
}

/* ---- removing ---- */

static int
remove_one (const char *path, const struct stat *found, int kind, struct FTW *place)
{
  return remove (path) == 0 || errno == ENOENT ? 0 : -1;
}

gboolean
usher_desktop_dirs_remove (UsherDesktopDirs *dirs, const char *id, GError **error)
{
  g_autofree char *dir = usher_desktop_dirs_dup_path (dirs, id, NULL);
  g_autofree char *record = usher_desktop_dirs_dup_path (dirs, id, RECORD);
  /* The record first: what is left of an interrupted removal counts as half made. */
  if (unlink (record) < 0 && errno != ENOENT && errno != ENOTDIR)
    return failed (error, record);
  USHER_FAULT_POINT ("hostd.delete.after_record");
  if (nftw (dir, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0 && errno != ENOENT)
    return failed (error, dir);
  USHER_FAULT_POINT ("hostd.delete.after_disk");
  return TRUE;
}
