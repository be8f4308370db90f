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
#define DATA "data.qcow2"
#define HALF ".new" /* what is being made appears under its name whole or not at all */
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
  g_autofree char *data = usher_desktop_dirs_dup_path (dirs, id, DATA);
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
  files.data_lost = files.record != NULL && files.record->data_gib > 0 && !g_file_test (data, G_FILE_TEST_EXISTS);
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

/* Runs `argv`, which makes HALF of `path`; it gets its name when it is whole and on the disk. */
static gboolean
make_image (const char *const *argv, const char *half, const char *path, GError **error)
{
  if (unlink (half) < 0 && errno != ENOENT)
    return failed (error, half);
  if (!usher_command_run (argv, CLONE_TIMEOUT_S, error))
    {
      unlink (half);
      return FALSE;
    }
  USHER_FAULT_POINT ("hostd.clone.after_image");
  if (!flush (half, error))
    return FALSE;
  return rename (half, path) == 0 || failed (error, path);
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

static gboolean
make_overlay (UsherDesktopDirs *dirs, const char *id, const char *base, GError **error)
{
  g_autofree char *half = usher_desktop_dirs_dup_path (dirs, id, DISK HALF);
  g_autofree char *disk = usher_desktop_dirs_dup_path (dirs, id, DISK);
  const char *const argv[] = { "qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, half, NULL };
  GError *problem = NULL;
  return make_image (argv, half, disk, &problem) || clone_failed (problem, base, error);
}

/* Once: what is there is somebody's, whatever the record says. */
static gboolean
make_data (UsherDesktopDirs *dirs, const char *id, gint64 gib, GError **error)
{
  g_autofree char *half = usher_desktop_dirs_dup_path (dirs, id, DATA HALF);
  g_autofree char *data = usher_desktop_dirs_dup_path (dirs, id, DATA);
  g_autofree char *size = g_strdup_printf ("%" G_GINT64_FORMAT "G", gib);
  const char *const argv[] = { "qemu-img", "create", "-q", "-f", "qcow2", half, size, NULL };
  if (gib == 0 || g_file_test (data, G_FILE_TEST_EXISTS))
    return TRUE;
  if (make_image (argv, half, data, error))
    return TRUE;
  g_prefix_error (error, "making its data disk: ");
  return FALSE;
}

/* From here on the record says that the system disk is of no worth. */
static gboolean
mark (UsherDesktopDirs *dirs, const char *id, UsherDesktopRecord *record, GError **error)
{
  if (record == NULL || record->making)
    return TRUE;
  record->making = TRUE;
  if (!usher_desktop_dirs_write_record (dirs, id, record, error))
    return FALSE;
  USHER_FAULT_POINT ("hostd.renew.after_mark");
  return TRUE;
}

gboolean
usher_desktop_dirs_make (UsherDesktopDirs *dirs, const char *id, const char *base, UsherDesktopRecord *before,
                         const UsherDesktopRecord *record, GError **error)
{
  g_autofree char *dir = usher_desktop_dirs_dup_path (dirs, id, NULL);
  if (!enough_space (dirs, error) || !make_dir (dir, error))
    return FALSE;
  USHER_FAULT_POINT ("hostd.clone.after_dir");
  if (!make_data (dirs, id, record->data_gib, error) || !mark (dirs, id, before, error))
    return FALSE;
  if (base != NULL && !make_overlay (dirs, id, base, error))
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
