#include "broker/api/static_files.h"
#include <string.h>
#include "common/error.h"

#define TOTAL_MAX (64 * 1024 * 1024)
#define DEPTH_MAX 8

struct _UsherStaticFiles {
  GHashTable *by_path; /* path → UsherStaticFile, whose path is the key */
  gsize total;
};

static void
file_free (UsherStaticFile *file)
{
  g_free (file->path);
  g_free (file->etag);
  g_bytes_unref (file->bytes);
  g_free (file);
}

UsherStaticFiles *
usher_static_files_new (void)
{
  UsherStaticFiles *files = g_new0 (UsherStaticFiles, 1);
  files->by_path = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, (GDestroyNotify) file_free);
  return files;
}

void
usher_static_files_free (UsherStaticFiles *files)
{
  if (files == NULL)
    return;
  g_hash_table_unref (files->by_path);
  g_free (files);
}

const char *
usher_static_type (const char *name)
{
  static const struct {
    const char *suffix, *type;
  } types[] = {
    { ".html", "text/html; charset=utf-8" },
    { ".js", "text/javascript; charset=utf-8" },
    { ".mjs", "text/javascript; charset=utf-8" },
    { ".css", "text/css; charset=utf-8" },
    { ".json", "application/json" },
    { ".webmanifest", "application/manifest+json" },
    { ".svg", "image/svg+xml" },
    { ".png", "image/png" },
    { ".jpg", "image/jpeg" },
    { ".ico", "image/x-icon" },
    { ".woff2", "font/woff2" },
    { ".txt", "text/plain; charset=utf-8" },
  };
  for (guint i = 0; i < G_N_ELEMENTS (types); i++)
    if (g_str_has_suffix (name, types[i].suffix))
      return types[i].type;
  return NULL;
}

static void
insert (UsherStaticFiles *files, char *path, const char *type, GBytes *bytes)
{
  UsherStaticFile *file = g_new0 (UsherStaticFile, 1);
  g_autofree char *hash = g_compute_checksum_for_bytes (G_CHECKSUM_SHA256, bytes);
  file->path = path;
  file->type = type;
  file->etag = g_strdup_printf ("\"%.32s\"", hash);
  file->bytes = g_bytes_ref (bytes);
  g_hash_table_replace (files->by_path, file->path, file);
}

static gboolean
add_file (UsherStaticFiles *files, const char *url_path, const char *disk_path, GError **error)
{
  const char *type = usher_static_type (disk_path);
  if (type == NULL)
    return TRUE;
  char *text = NULL;
  gsize length = 0;
  g_autoptr (GError) local = NULL;
  if (!g_file_get_contents (disk_path, &text, &length, &local)) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "portal file: %s", local->message);
    return FALSE;
  }
  g_autoptr (GBytes) bytes = g_bytes_new_take (text, length);
  files->total += length;
  if (files->total > TOTAL_MAX) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "%s: more than %d bytes of portal files", disk_path, TOTAL_MAX);
    return FALSE;
  }
  insert (files, g_strdup (url_path), type, bytes);
  if (g_str_has_suffix (url_path, "/index.html"))
    insert (files, g_strndup (url_path, strlen (url_path) - strlen ("index.html")), type, bytes);
  return TRUE;
}

static gboolean
add_directory (UsherStaticFiles *files, const char *prefix, const char *directory, guint depth, GError **error)
{
  g_autoptr (GError) local = NULL;
  g_autoptr (GDir) dir = g_dir_open (directory, 0, &local);
  if (dir == NULL) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "portal files: %s", local->message);
    return FALSE;
  }
  const char *name;
  while ((name = g_dir_read_name (dir)) != NULL) {
    if (name[0] == '.')
      continue;
    g_autofree char *url_path = g_strconcat (prefix, "/", name, NULL);
    g_autofree char *disk_path = g_build_filename (directory, name, NULL);
    gboolean ok = TRUE;
    if (g_file_test (disk_path, G_FILE_TEST_IS_REGULAR))
      ok = add_file (files, url_path, disk_path, error);
    else if (g_file_test (disk_path, G_FILE_TEST_IS_DIR) && depth < DEPTH_MAX)
      ok = add_directory (files, url_path, disk_path, depth + 1, error);
    if (!ok)
      return FALSE;
  }
  return TRUE;
}

gboolean
usher_static_files_add (UsherStaticFiles *files, const char *prefix, const char *directory, GError **error)
{
  return directory[0] == '\0' || add_directory (files, prefix, directory, 0, error);
}

const UsherStaticFile *
usher_static_files_find (const UsherStaticFiles *files, const char *path)
{
  return g_hash_table_lookup (files->by_path, path);
}

gboolean
usher_etag_matches (const char *header, const char *etag)
{
  if (header == NULL)
    return FALSE;
  g_auto (GStrv) parts = g_strsplit (header, ",", 20);
  for (guint i = 0; parts[i] != NULL; i++) {
    const char *part = g_strstrip (parts[i]);
    if (g_str_has_prefix (part, "W/"))
      part += 2;
    if (g_str_equal (part, etag) || g_str_equal (part, "*"))
      return TRUE;
  }
  return FALSE;
}
