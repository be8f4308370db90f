#include "broker/images/upload.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "broker/images/folder.h"
#include "common/error.h"
#include "common/fault.h"
#include "common/json.h"

static gint64
length_of (const UsherImages *images, const UsherUpload *upload, const char *file)
{
  g_autofree char *path = usher_folder_upload (images, upload->id, file);
  return MAX (usher_folder_length (path), 0);
}

/* Once it is numbered its folder may have been moved to its place already: then it is not made again. */
json_t *
usher_upload_received (const UsherImages *images, const UsherUpload *upload, GError **error)
{
  json_t *list = json_array (), *one;
  gint64 rest = 0;
  size_t i;
  json_array_foreach (upload->files, i, one) {
    const char *file = usher_json_string (one, "file");
    gint64 size = usher_json_int (one, "size"), received = length_of (images, upload, file);
    rest += size - MIN (received, size);
    json_array_append_new (list, json_pack ("{s:s, s:I}", "file", file, "received", (json_int_t) received));
  }
  if (usher_folder_has_room (images, rest, error)
      && (upload->version != 0 || usher_folder_make_upload (images, upload->id, error)))
    return list;
  json_decref (list);
  return NULL;
}

static gint64
size_of (const UsherUpload *upload, const char *file)
{
  size_t i;
  json_t *one;
  json_array_foreach (upload->files, i, one)
    if (g_str_equal (usher_json_string (one, "file"), file))
      return usher_json_int (one, "size");
  return -1;
}

/* A piece that could not be written whole is taken back, so that what is there stays what was sent. */
static gboolean
append (int fd, const char *path, gint64 offset, GBytes *bytes, GError **error)
{
  gsize length = 0, done = 0;
  const char *data = g_bytes_get_data (bytes, &length);
  while (done < length) {
    gssize n = pwrite (fd, data + done, length - done, (off_t) (offset + (gint64) done));
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0) {
      int number = n < 0 ? errno : ENOSPC;
      if (ftruncate (fd, (off_t) offset) != 0)
        number = errno;
      return usher_folder_error (path, "cannot be written", number, error);
    }
    done += (gsize) n;
  }
  return TRUE;
}

static gboolean
write_at (const UsherImages *images, int fd, const char *path, gint64 size, gint64 offset, GBytes *bytes, gint64 *out_received,
          GError **error)
{
  struct stat about;
  gint64 length = (gint64) g_bytes_get_size (bytes);
  if (flock (fd, LOCK_EX | LOCK_NB) != 0) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_BUSY, "another request writes this file");
    return FALSE;
  }
  if (fstat (fd, &about) != 0)
    return usher_folder_error (path, "cannot be looked at", errno, error);
  *out_received = about.st_size;
  if (offset != *out_received)
    g_set_error (error, USHER_ERROR, USHER_ERROR_CONFLICT, "offset: %" G_GINT64_FORMAT " bytes were received", *out_received);
  else if (length > size - offset)
    g_set_error (error, USHER_ERROR, USHER_ERROR_TOO_LARGE, "the file was announced with %" G_GINT64_FORMAT " bytes", size);
  else if (usher_folder_has_room (images, length, error) && append (fd, path, offset, bytes, error)) {
    USHER_FAULT_POINT ("images.chunk");
    *out_received = offset + length;
    return TRUE;
  }
  return FALSE;
}

gboolean
usher_upload_write (const UsherImages *images, const UsherUpload *upload, const char *file, gint64 offset, GBytes *bytes,
                    gint64 *out_received, GError **error)
{
  gint64 size = size_of (upload, file);
  g_autofree char *path = usher_folder_upload (images, upload->id, file);
  if (size < 0) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_MISSING, "file %s is none of this upload", file);
    return FALSE;
  }
  int lock = usher_folder_lock (images, upload->id, FALSE, error);
  if (lock < 0)
    return FALSE;
  int fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  gboolean good = FALSE;
  if (fd >= 0)
    good = write_at (images, fd, path, size, offset, bytes, out_received, error);
  else if (errno == ENOENT)
    g_set_error (error, USHER_ERROR, USHER_ERROR_CONFLICT, "upload %s has no folder: it was checked already (finish it), or begin it again",
                 upload->id);
  else
    usher_folder_error (path, "cannot be opened", errno, error);
  if (fd >= 0)
    close (fd);
  close (lock);
  return good;
}

gboolean
usher_upload_remove (const UsherImages *images, const char *id, GError **error)
{
  g_autofree char *path = usher_folder_upload (images, id, NULL), *lock = g_strconcat (path, ".lock", NULL);
  if (!usher_folder_remove (path, error))
    return FALSE;
  return unlink (lock) == 0 || errno == ENOENT || usher_folder_error (lock, "cannot be removed", errno, error);
}
