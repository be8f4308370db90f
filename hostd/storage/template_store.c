#include "hostd/storage/template_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/checksum.h"
#include "common/error.h"
#include "common/json.h"
#include "common/log.h"

struct _UsherTemplateStore {
  GPtrArray *roots;       /* in the order they are looked at; our own is the last */
  GMutex lock;            /* guards the next two; held while a disk is read, so that it is read once */
  GHashTable *checked;    /* "path inode size mtime" → SHA-256 in hexadecimal */
  GHashTable *told;       /* broken versions that the log has: directory → message */
  GMutex open_lock;       /* guards the rest */
  GHashTable *open;       /* directory → how many have it open */
  GHashTable *locked_out; /* directories */
};

UsherTemplateStore *
usher_template_store_new (const char *dir)
{
  UsherTemplateStore *store = g_new0 (UsherTemplateStore, 1);
  store->roots = g_ptr_array_new_with_free_func (g_free);
  g_ptr_array_add (store->roots, g_strdup (dir));
  g_mutex_init (&store->lock);
  g_mutex_init (&store->open_lock);
  store->open = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  store->locked_out = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  store->checked = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  store->told = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  return store;
}

void
usher_template_store_free (UsherTemplateStore *store)
{
  g_hash_table_unref (store->checked);
  g_hash_table_unref (store->told);
  g_hash_table_unref (store->open);
  g_hash_table_unref (store->locked_out);
  g_mutex_clear (&store->lock);
  g_mutex_clear (&store->open_lock);
  g_ptr_array_unref (store->roots);
  g_free (store);
}

void
usher_template_store_add_shared (UsherTemplateStore *store, const char *dir)
{
  g_ptr_array_insert (store->roots, (gint) store->roots->len - 1, g_strdup (dir));
}

const char *
usher_template_store_get_dir (const UsherTemplateStore *store)
{
  return store->roots->pdata[store->roots->len - 1];
}

static char *
version_dir (const char *root, const char *name, gint64 version)
{
  return g_strdup_printf ("%s/%s/%" G_GINT64_FORMAT, root, name, version);
}

/* ---- who has what open ---- */

static gboolean
note_open (UsherTemplateStore *store, const char *dir)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&store->open_lock);
  if (g_hash_table_contains (store->locked_out, dir))
    return FALSE;
  guint count = GPOINTER_TO_UINT (g_hash_table_lookup (store->open, dir));
  g_hash_table_replace (store->open, g_strdup (dir), GUINT_TO_POINTER (count + 1));
  return TRUE;
}

static void
note_closed (UsherTemplateStore *store, const char *dir)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&store->open_lock);
  guint count = GPOINTER_TO_UINT (g_hash_table_lookup (store->open, dir));
  if (count > 1)
    g_hash_table_replace (store->open, g_strdup (dir), GUINT_TO_POINTER (count - 1));
  else
    g_hash_table_remove (store->open, dir);
}

gboolean
usher_template_store_lock_out (UsherTemplateStore *store, const char *name, gint64 version)
{
  g_autofree char *dir = version_dir (usher_template_store_get_dir (store), name, version);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&store->open_lock);
  return !g_hash_table_contains (store->open, dir) && g_hash_table_add (store->locked_out, g_steal_pointer (&dir));
}

void
usher_template_store_let_in (UsherTemplateStore *store, const char *name, gint64 version)
{
  g_autofree char *dir = version_dir (usher_template_store_get_dir (store), name, version);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&store->open_lock);
  g_hash_table_remove (store->locked_out, dir);
}

void
usher_template_files_free (UsherTemplateFiles *files)
{
  if (files->store != NULL)
    note_closed (files->store, files->dir);
  g_free (files->dir);
  usher_template_manifest_free (files->manifest);
  g_free (files->kernel);
  g_free (files->initrd);
  g_free (files->disk);
  g_free (files);
}

static gboolean
broken (GError **error, const char *path, const char *why)
{
  g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "broken image: %s: %s", path, why);
  return FALSE;
}

/* `*out` becomes DIR/FILE, which must be a file that is not empty; NULL when `file` is. */
static gboolean
find_file (const char *dir, const char *file, char **out, GError **error)
{
  if (file == NULL)
    return TRUE;
  g_autofree char *path = g_build_filename (dir, file, NULL);
  struct stat found;
  if (lstat (path, &found) < 0)
    return broken (error, path, g_strerror (errno));
  if (!S_ISREG (found.st_mode) || found.st_size == 0)
    return broken (error, path, "must be a file that is not empty");
  *out = g_steal_pointer (&path);
  return TRUE;
}

/* The manifest must be about the version whose folder it is in. */
static UsherTemplateManifest *
read_manifest (const char *dir, const char *name, gint64 version, GError **error)
{
  g_autofree char *path = g_build_filename (dir, "manifest.json", NULL);
  g_autoptr (GError) problem = NULL;
  json_auto_t *document = usher_json_read_file (path, &problem);
  g_autoptr (UsherTemplateManifest) manifest = document != NULL ? usher_template_manifest_parse (document, path, &problem) : NULL;
  if (manifest == NULL)
    {
      gboolean missing = g_error_matches (problem, USHER_ERROR, USHER_ERROR_MISSING);
      g_set_error (error, USHER_ERROR, missing ? USHER_ERROR_MISSING : USHER_ERROR_INVALID,
                   missing ? "this host has no template %s/%" G_GINT64_FORMAT ": %s"
                           : "broken image: template %s/%" G_GINT64_FORMAT ": %s", name, version, problem->message);
      return NULL;
    }
  if (!g_str_equal (manifest->name, name) || manifest->version != version)
    {
      broken (error, path, "is about another template or version");
      return NULL;
    }
  return g_steal_pointer (&manifest);
}

static UsherTemplateFiles *
read_version (const char *dir, const char *name, gint64 version, GError **error)
{
  UsherTemplateManifest *manifest = read_manifest (dir, name, version, error);
  if (manifest == NULL)
    return NULL;
  g_autoptr (UsherTemplateFiles) files = g_new0 (UsherTemplateFiles, 1);
  files->manifest = manifest;
  if (!find_file (dir, manifest->kernel_file, &files->kernel, error)
      || !find_file (dir, manifest->initrd_file, &files->initrd, error)
      || !find_file (dir, manifest->disk_file, &files->disk, error))
    return NULL;
  return g_steal_pointer (&files);
}

gboolean
usher_template_dir_check (const char *dir, const char *name, gint64 version, GError **error)
{
  g_autoptr (UsherTemplateFiles) files = read_version (dir, name, version, error);
  return files != NULL;
}

static UsherTemplateFiles *
open_in (UsherTemplateStore *store, const char *root, const char *name, gint64 version, GError **error)
{
  g_autofree char *dir = version_dir (root, name, version);
  if (!note_open (store, dir))
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "%s is being removed", dir);
      return NULL;
    }
  UsherTemplateFiles *files = read_version (dir, name, version, error);
  if (files == NULL)
    {
      note_closed (store, dir);
      return NULL;
    }
  files->store = store;
  files->dir = g_steal_pointer (&dir);
  return files;
}

UsherTemplateFiles *
usher_template_store_open (UsherTemplateStore *store, const char *name, gint64 version, GError **error)
{
  if (!usher_template_name_is_valid (name) || version < 1)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "«%s» is no template's name", name != NULL ? name : "");
      return NULL;
    }
  g_autoptr (GError) first = NULL; /* of the roots that have it, and not usable */
  for (guint i = 0; i < store->roots->len; i++)
    {
      g_autoptr (GError) problem = NULL;
      UsherTemplateFiles *files = open_in (store, store->roots->pdata[i], name, version, &problem);
      if (files != NULL)
        return files;
      if (first == NULL && (i == store->roots->len - 1 || !g_error_matches (problem, USHER_ERROR, USHER_ERROR_MISSING)))
        first = g_steal_pointer (&problem);
    }
  g_propagate_error (error, g_steal_pointer (&first));
  return NULL;
}

/* ---- listing ---- */

/* Says once what is wrong with a version. */
static void
tell_once (UsherTemplateStore *store, const char *dir, const char *message)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&store->lock);
  const char *before = g_hash_table_lookup (store->told, dir);
  if (before != NULL && g_str_equal (before, message))
    return;
  g_hash_table_insert (store->told, g_strdup (dir), g_strdup (message));
  usher_log (USHER_LOG_WARNING, NULL, "template in %s is not usable: %s", dir, message);
}

static void
list_versions (UsherTemplateStore *store, const char *root, const char *name, GHashTable *into)
{
  g_autofree char *path = g_build_filename (root, name, NULL);
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *entry;
  while (dir != NULL && (entry = g_dir_read_name (dir)) != NULL)
    {
      gint64 version;
      g_autoptr (GError) problem = NULL;
      if (!g_ascii_string_to_signed (entry, 10, 1, G_MAXINT32, &version, NULL) || entry[0] == '0')
        continue; /* a build's temporary folder, or nothing of ours */
      g_autofree char *full = g_build_filename (path, entry, NULL);
      if (usher_template_dir_check (full, name, version, &problem))
        g_hash_table_add (into, g_strdup_printf ("%s/%s", name, entry));
      else if (!g_error_matches (problem, USHER_ERROR, USHER_ERROR_MISSING)) /* no manifest yet: still being built */
        tell_once (store, full, problem->message);
    }
}

static void
list_root (UsherTemplateStore *store, const char *root, GHashTable *into)
{
  g_autoptr (GDir) dir = g_dir_open (root, 0, NULL);
  const char *entry;
  while (dir != NULL && (entry = g_dir_read_name (dir)) != NULL)
    if (usher_template_name_is_valid (entry))
      list_versions (store, root, entry, into);
}

static gint
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

char **
usher_template_store_list (UsherTemplateStore *store)
{
  g_autoptr (GHashTable) found = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  for (guint i = 0; i < store->roots->len; i++)
    list_root (store, store->roots->pdata[i], found);
  g_autofree gpointer *names = g_hash_table_get_keys_as_array (found, NULL);
  qsort (names, g_hash_table_size (found), sizeof *names, compare_names);
  return g_strdupv ((char **) names);
}

/* ---- checking the disk ---- */

static char *
sum_file (int fd, const char *path, gint64 size, GError **error)
{
  char text[USHER_CHECKSUM_SIZE];
  g_autoptr (UsherChecksum) sum = usher_checksum_new ();
  g_autoptr (GError) problem = NULL;
  if (!usher_checksum_add_fd (sum, fd, (guint64) size, NULL, NULL, &problem))
    {
      broken (error, path, problem->message);
      return NULL;
    }
  usher_checksum_end (sum, text);
  return g_strdup (text);
}

/* What a sum is remembered under: another file, or the same changed, has another key. */
static char *
sum_key (const char *path, const struct stat *found)
{
  return g_strdup_printf ("%s %ju %ju %jd.%09ld", path, (uintmax_t) found->st_ino, (uintmax_t) found->st_size,
                          (intmax_t) found->st_mtim.tv_sec, found->st_mtim.tv_nsec);
}

void
usher_template_store_note_sum (UsherTemplateStore *store, const char *path, const char *sha256)
{
  struct stat found;
  if (lstat (path, &found) < 0)
    return;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&store->lock);
  g_hash_table_insert (store->checked, sum_key (path, &found), g_strdup (sha256));
}

/* Borrowed from the table; called with the lock held. */
static const char *
sum_of (UsherTemplateStore *store, const char *path, int fd, GError **error)
{
  struct stat found;
  if (fstat (fd, &found) < 0)
    {
      broken (error, path, g_strerror (errno));
      return NULL;
    }
  g_autofree char *key = sum_key (path, &found);
  const char *known = g_hash_table_lookup (store->checked, key);
  char *sum = known == NULL ? sum_file (fd, path, found.st_size, error) : NULL;
  if (sum == NULL)
    return known;
  g_hash_table_insert (store->checked, g_steal_pointer (&key), sum);
  return sum;
}

gboolean
usher_template_store_check_disk (UsherTemplateStore *store, const UsherTemplateFiles *files, GError **error)
{
  if (files->disk == NULL)
    return TRUE;
  int fd = open (files->disk, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0)
    return broken (error, files->disk, g_strerror (errno));
  g_mutex_lock (&store->lock);
  const char *sum = sum_of (store, files->disk, fd, error);
  gboolean same = sum != NULL && g_str_equal (sum, files->manifest->disk_sha256);
  g_mutex_unlock (&store->lock);
  close (fd);
  return same || (sum == NULL ? FALSE : broken (error, files->disk, "its SHA-256 is not the manifest's"));
}
