#include "hostd/images/incoming.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fault.h"

#define FOLDER ".incoming"

gboolean
usher_incoming_failed (GError **error, const char *path)
{
  int number = errno;
  gboolean full = number == ENOSPC || number == EDQUOT;
  g_set_error (error, USHER_ERROR, full ? USHER_ERROR_EXHAUSTED : USHER_ERROR_INTERNAL, "%s%s: %s", full ? "disk full: " : "",
               path, g_strerror (number));
  return FALSE;
}

char *
usher_incoming_dup_place (const char *store, const char *name, gint64 version)
{
  return g_strdup_printf ("%s/%s/%" G_GINT64_FORMAT, store, name, version);
}

char *
usher_incoming_dup_path (const char *store, const char *name, gint64 version)
{
  return g_strdup_printf ("%s/" FOLDER "/%s-%" G_GINT64_FORMAT, store, name, version);
}

/* ---- directories ---- */

static gboolean
make_dir (const char *path, int mode, GError **error)
{
  return g_mkdir_with_parents (path, mode) == 0 || usher_incoming_failed (error, path);
}

/* Flushes a file or a directory to the disk. */
static gboolean
flush (const char *path, GError **error)
{
  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  gboolean done = fd >= 0 && fsync (fd) == 0;
  if (!done)
    usher_incoming_failed (error, path);
  if (fd >= 0)
    close (fd);
  return done;
}

static int
remove_one (const char *path, const struct stat *found, int kind, struct FTW *place)
{
  return remove (path) == 0 || errno == ENOENT ? 0 : -1;
}

gboolean
usher_incoming_discard (const char *path, GError **error)
{
  return nftw (path, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) == 0 || errno == ENOENT
         || usher_incoming_failed (error, path);
}

/* ---- coming ---- */

static gboolean
is_one_of (const UsherWantedVersion *version, const char *name)
{
  for (guint i = 0; i < version->files->len; i++)
    if (g_str_equal (((const UsherImageFile *) version->files->pdata[i])->name, name))
      return TRUE;
  return FALSE;
}

static gboolean
remove_strangers (const char *path, const UsherWantedVersion *version, GError **error)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  for (const char *name = dir != NULL ? g_dir_read_name (dir) : NULL; name != NULL; name = g_dir_read_name (dir))
    {
      g_autofree char *full = g_build_filename (path, name, NULL);
      struct stat found;
      gboolean ours = lstat (full, &found) == 0 && S_ISREG (found.st_mode) && is_one_of (version, name);
      if (!ours && !usher_incoming_discard (full, error))
        return FALSE;
    }
  return TRUE;
}

gboolean
usher_incoming_open (const char *store, const UsherWantedVersion *version, GError **error)
{
  g_autofree char *folder = g_build_filename (store, FOLDER, NULL);
  g_autofree char *path = usher_incoming_dup_path (store, version->template_name, version->template_version);
  return make_dir (store, 0755, error) && make_dir (folder, 0700, error) && make_dir (path, 0755, error)
         && remove_strangers (path, version, error);
}

gint64
usher_incoming_received (const char *store, const UsherWantedVersion *version)
{
  gint64 received = 0;
  g_autofree char *path = usher_incoming_dup_path (store, version->template_name, version->template_version);
  for (guint i = 0; i < version->files->len; i++)
    {
      const UsherImageFile *file = version->files->pdata[i];
      g_autofree char *full = g_build_filename (path, file->name, NULL);
      struct stat found;
      if (lstat (full, &found) == 0 && S_ISREG (found.st_mode))
        received += MIN (found.st_size, file->size);
    }
  return received;
}

/* ---- its place ---- */

static gboolean
is_marked (const char *place)
{
  g_autofree char *mark = g_build_filename (place, USHER_IMAGE_MARK, NULL);
  return g_file_test (mark, G_FILE_TEST_EXISTS);
}

gboolean
usher_incoming_check_place (const char *store, const char *name, gint64 version, GError **error)
{
  g_autofree char *place = usher_incoming_dup_place (store, name, version);
  struct stat found;
  if ((lstat (place, &found) < 0 && errno == ENOENT) || is_marked (place))
    return TRUE;
  g_set_error (error, USHER_ERROR, USHER_ERROR_CONFLICT, "%s is in the way: it is not usable, and was not fetched", place);
  return FALSE;
}

static gboolean
write_mark (const char *path, GError **error)
{
  g_autofree char *mark = g_build_filename (path, USHER_IMAGE_MARK, NULL);
  int fd = open (mark, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd < 0)
    return usher_incoming_failed (error, mark);
  close (fd);
  return TRUE;
}

/* Nothing writes to a version once it is there. */
static gboolean
make_read_only (const char *path, const UsherWantedVersion *version, GError **error)
{
  for (guint i = 0; i < version->files->len; i++)
    {
      g_autofree char *full = g_build_filename (path, ((const UsherImageFile *) version->files->pdata[i])->name, NULL);
      if (chmod (full, 0444) < 0)
        return usher_incoming_failed (error, full);
    }
  return TRUE;
}

gboolean
usher_incoming_publish (const char *store, const UsherWantedVersion *version, GError **error)
{
  const char *name = version->template_name;
  g_autofree char *path = usher_incoming_dup_path (store, name, version->template_version);
  g_autofree char *folder = g_build_filename (store, name, NULL);
  g_autofree char *place = usher_incoming_dup_place (store, name, version->template_version);
  if (!make_read_only (path, version, error) || !write_mark (path, error) || !flush (path, error)
      || !make_dir (folder, 0755, error) || !usher_incoming_check_place (store, name, version->template_version, error)
      || !usher_incoming_take_away (store, name, version->template_version, error))
    return FALSE;
  USHER_FAULT_POINT ("images.fetch.before_rename");
  if (rename (path, place) < 0)
    return usher_incoming_failed (error, place);
  USHER_FAULT_POINT ("images.fetch.after_rename");
  return flush (folder, error) && flush (store, error);
}

gboolean
usher_incoming_take_away (const char *store, const char *name, gint64 version, GError **error)
{
  g_autofree char *place = usher_incoming_dup_place (store, name, version);
  g_autofree char *coming = usher_incoming_dup_path (store, name, version);
  g_autofree char *going = g_strconcat (coming, ".gone", NULL);
  g_autofree char *folder = g_build_filename (store, FOLDER, NULL);
  if (!usher_incoming_discard (going, error) || !make_dir (folder, 0700, error))
    return FALSE;
  if (rename (place, going) < 0)
    return errno == ENOENT || usher_incoming_failed (error, place);
  USHER_FAULT_POINT ("images.evict.after_rename");
  return usher_incoming_discard (going, error);
}
