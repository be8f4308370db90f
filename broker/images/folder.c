#include "broker/images/folder.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <glib/gstdio.h>
#include "common/error.h"

char *
usher_folder_upload (const UsherImages *images, const char *id, const char *file)
{
  return g_build_filename (images->dir, ".uploads", id, file, NULL);
}

char *
usher_folder_version (const UsherImages *images, const char *template, gint64 version, const char *file)
{
  g_autofree char *number = g_strdup_printf ("%" G_GINT64_FORMAT, version);
  return g_build_filename (images->dir, template, number, file, NULL);
}

gboolean
usher_folder_error (const char *path, const char *what, int number, GError **error)
{
  gboolean full = number == ENOSPC || number == EDQUOT || number == EFBIG;
  g_set_error (error, USHER_ERROR, full ? USHER_ERROR_EXHAUSTED : USHER_ERROR_UNAVAILABLE, "%s: %s: %s", path, what,
               full ? "the disk for templates is full" : g_strerror (number));
  return FALSE;
}

static gboolean
make_folder (const char *path, int mode, GError **error)
{
  return g_mkdir_with_parents (path, mode) == 0 || usher_folder_error (path, "cannot be made", errno, error);
}

static gboolean
make_uploads (const UsherImages *images, GError **error)
{
  g_autofree char *path = g_build_filename (images->dir, ".uploads", NULL);
  return make_folder (images->dir, 0755, error) && make_folder (path, 0700, error);
}

gboolean
usher_folder_make_upload (const UsherImages *images, const char *id, GError **error)
{
  g_autofree char *path = usher_folder_upload (images, id, NULL);
  return make_uploads (images, error) && make_folder (path, 0700, error);
}

int
usher_folder_lock (const UsherImages *images, const char *id, gboolean whole, GError **error)
{
  g_autofree char *name = g_strconcat (id, ".lock", NULL), *path = g_build_filename (images->dir, ".uploads", name, NULL);
  if (!make_uploads (images, error))
    return -1;
  int fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0)
    return usher_folder_error (path, "cannot be opened", errno, error), -1;
  if (flock (fd, (whole ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0)
    return fd;
  g_set_error (error, USHER_ERROR, USHER_ERROR_BUSY, "another request works on upload %s", id);
  close (fd);
  return -1;
}

gboolean
usher_folder_has_room (const UsherImages *images, gint64 bytes, GError **error)
{
  struct statvfs disk;
  if (statvfs (images->dir, &disk) != 0)
    return errno == ENOENT || usher_folder_error (images->dir, "cannot be looked at", errno, error);
  gint64 free = (gint64) disk.f_bavail * (gint64) disk.f_frsize;
  if (free - images->reserve >= bytes)
    return TRUE;
  g_set_error (error, USHER_ERROR, USHER_ERROR_EXHAUSTED,
               "%s: %" G_GINT64_FORMAT " MiB are to come, %" G_GINT64_FORMAT " MiB are free, of which %" G_GINT64_FORMAT
               " MiB ([templates] reserve_mib) stay free", images->dir, (bytes + 1048575) >> 20, free >> 20, images->reserve >> 20);
  return FALSE;
}

gint64
usher_folder_highest (const UsherImages *images, const char *template)
{
  g_autofree char *path = g_build_filename (images->dir, template, NULL);
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  gint64 highest = 0;
  const char *name;
  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL) {
    gint64 number = 0;
    if (g_ascii_string_to_signed (name, 10, 1, G_MAXINT32 - 1, &number, NULL))
      highest = MAX (highest, number);
  }
  return highest;
}

gint64
usher_folder_length (const char *path)
{
  struct stat about;
  if (lstat (path, &about) != 0)
    return errno == ENOENT ? 0 : -1;
  return S_ISREG (about.st_mode) ? (gint64) about.st_size : -1;
}

gboolean
usher_folder_sync (const char *path, GError **error)
{
  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  gboolean good = fd >= 0 && fsync (fd) == 0;
  if (!good)
    usher_folder_error (path, "cannot be written to the disk", errno, error);
  if (fd >= 0)
    close (fd);
  return good;
}

gboolean
usher_folder_write (const char *path, const char *text, GError **error)
{
  gsize length = strlen (text);
  unlink (path);
  int fd = open (path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  gboolean good = fd >= 0 && write (fd, text, length) == (gssize) length && fsync (fd) == 0;
  if (!good)
    usher_folder_error (path, "cannot be written", errno, error);
  if (fd >= 0)
    close (fd);
  return good;
}

gboolean
usher_folder_move (const char *from, const char *to, GError **error)
{
  g_autofree char *parent = g_path_get_dirname (to);
  if (!make_folder (parent, 0755, error))
    return FALSE;
  if (rename (from, to) == 0)
    return usher_folder_sync (parent, error);
  if (errno != ENOTEMPTY && errno != EEXIST)
    return usher_folder_error (from, "cannot be moved to its place", errno, error);
  g_set_error (error, USHER_ERROR, USHER_ERROR_CONFLICT, "%s: something is there already", to);
  return FALSE;
}

gboolean
usher_folder_remove (const char *path, GError **error)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;
  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *file = g_build_filename (path, name, NULL);
    if (unlink (file) != 0 && errno != ENOENT)
      return usher_folder_error (file, "cannot be removed", errno, error);
  }
  return rmdir (path) == 0 || errno == ENOENT || usher_folder_error (path, "cannot be removed", errno, error);
}
