#include "hostd/images/standing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/json.h"
#include "hostd/images/wanted.h"
#include "hostd/storage/record.h"

#define NAME_MAX_BYTES 1023 /* of a backing file, by the format */

struct _UsherStanding {
  GHashTable *versions; /* "NAME/VERSION" of records */
  GHashTable *files;    /* "DEVICE INODE" of backing files: paths may be written in several ways */
};

void
usher_standing_free (UsherStanding *standing)
{
  g_hash_table_unref (standing->versions);
  g_hash_table_unref (standing->files);
  g_free (standing);
}

gboolean
usher_qcow2_backing (const guint8 *head, gsize length, char **out)
{
  guint64 at;
  guint32 size;
  *out = NULL;
  if (length < 4 || memcmp (head, "QFI\xfb", 4) != 0)
    return TRUE;
  if (length < 20)
    return FALSE;
  memcpy (&at, head + 8, sizeof at);
  memcpy (&size, head + 16, sizeof size);
  at = GUINT64_FROM_BE (at);
  size = GUINT32_FROM_BE (size);
  if (at == 0)
    return TRUE;
  if (size == 0 || size > NAME_MAX_BYTES || at > length || size > length - at)
    return FALSE;
  *out = g_strndup ((const char *) head + at, size);
  return TRUE;
}

static gboolean
unknown (GError **error, const char *path, const char *why)
{
  g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "%s: %s: what stands on it is not known", path, why);
  return FALSE;
}

static char *
file_key (const struct stat *found)
{
  return g_strdup_printf ("%ju %ju", (uintmax_t) found->st_dev, (uintmax_t) found->st_ino);
}

/* Notes the file that an image goes back to; one that is gone counts for nothing. */
static gboolean
add_backing (UsherStanding *standing, const char *image, const char *backing, GError **error)
{
  struct stat found;
  if (g_str_has_prefix (backing, "json:") || strstr (backing, "://") != NULL)
    return unknown (error, image, "its backing file is no plain path");
  g_autofree char *folder = g_path_get_dirname (image);
  const char *name = g_str_has_prefix (backing, "file:") ? backing + strlen ("file:") : backing;
  g_autofree char *path = g_canonicalize_filename (name, folder);
  if (stat (path, &found) == 0)
    g_hash_table_add (standing->files, file_key (&found));
  else if (errno != ENOENT && errno != ENOTDIR)
    return unknown (error, path, g_strerror (errno));
  return TRUE;
}

static gboolean
look_at_image (UsherStanding *standing, const char *path, GError **error)
{
  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0)
    return errno == ENOENT || unknown (error, path, g_strerror (errno));
  g_autofree guint8 *head = g_malloc (USHER_QCOW2_HEAD);
  gssize length = pread (fd, head, USHER_QCOW2_HEAD, 0);
  int number = errno;
  close (fd);
  if (length < 0)
    return unknown (error, path, g_strerror (number));
  g_autofree char *backing = NULL;
  if (!usher_qcow2_backing (head, (gsize) length, &backing))
    return unknown (error, path, "its header is damaged");
  return backing == NULL || add_backing (standing, path, backing, error);
}

static gboolean
look_at_record (UsherStanding *standing, const char *path, GError **error)
{
  g_autoptr (GError) problem = NULL;
  json_auto_t *json = usher_json_read_file (path, &problem);
  g_autoptr (UsherDesktopRecord) record = json != NULL ? usher_desktop_record_from_json (json, path, &problem) : NULL;
  if (record != NULL)
    g_hash_table_add (standing->versions, usher_version_key (record->template_name, record->template_version));
  return record != NULL || g_error_matches (problem, USHER_ERROR, USHER_ERROR_MISSING)
         || unknown (error, path, problem->message);
}

static gboolean look_in (UsherStanding *standing, const char *dir, int depth, GError **error);

static gboolean
look_at (UsherStanding *standing, const char *path, const char *name, int depth, GError **error)
{
  struct stat found;
  if (lstat (path, &found) < 0)
    return errno == ENOENT || unknown (error, path, g_strerror (errno));
  if (S_ISDIR (found.st_mode))
    return depth == 0 || look_in (standing, path, depth - 1, error);
  if (!S_ISREG (found.st_mode))
    return TRUE;
  return g_str_equal (name, "desktop.json") ? look_at_record (standing, path, error) : look_at_image (standing, path, error);
}

static gboolean
look_in (UsherStanding *standing, const char *path, int depth, GError **error)
{
  g_autoptr (GError) problem = NULL;
  g_autoptr (GDir) dir = g_dir_open (path, 0, &problem);
  if (dir == NULL)
    return g_error_matches (problem, G_FILE_ERROR, G_FILE_ERROR_NOENT) || unknown (error, path, problem->message);
  for (const char *name = g_dir_read_name (dir); name != NULL; name = g_dir_read_name (dir))
    {
      g_autofree char *full = g_build_filename (path, name, NULL);
      if (!look_at (standing, full, name, depth, error))
        return FALSE;
    }
  return TRUE;
}

UsherStanding *
usher_standing_look (const char *state_dir, GError **error)
{
  static const char *const folders[] = { "desktops", "parents", "bases" };
  g_autoptr (UsherStanding) standing = g_new0 (UsherStanding, 1);
  standing->versions = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  standing->files = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (folders); i++)
    {
      g_autofree char *path = g_build_filename (state_dir, folders[i], NULL);
      if (!look_in (standing, path, 2, error))
        return NULL;
    }
  return g_steal_pointer (&standing);
}

gboolean
usher_standing_has (const UsherStanding *standing, const char *name, gint64 version, const char *dir_path)
{
  g_autofree char *key = usher_version_key (name, version);
  if (g_hash_table_contains (standing->versions, key))
    return TRUE;
  g_autoptr (GDir) dir = g_dir_open (dir_path, 0, NULL);
  for (const char *file = dir != NULL ? g_dir_read_name (dir) : NULL; file != NULL; file = g_dir_read_name (dir))
    {
      struct stat found;
      g_autofree char *path = g_build_filename (dir_path, file, NULL);
      if (stat (path, &found) < 0)
        continue;
      g_autofree char *one = file_key (&found);
      if (g_hash_table_contains (standing->files, one))
        return TRUE;
    }
  return FALSE;
}
