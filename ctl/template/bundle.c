#include "ctl/template/bundle.h"
#include "common/checksum.h"
#include "common/error.h"
#include "common/json.h"
#include "ctl/progress.h"
#include "templates/manifest.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file smaller than this is read without a word. */
#define SHOWN (64 * 1024 * 1024)

static void
file_free (UsherBundleFile *file)
{
  g_free (file->name);
  g_free (file->path);
  g_free (file->sha256);
  g_free (file);
}

typedef struct {
  UsherProgress *progress;
  GCancellable *cancellable;
} Reading;

static gboolean
on_read (guint64 done, gpointer user_data, GError **error)
{
  Reading *reading = user_data;

  if (reading->progress != NULL)
    usher_progress_at (reading->progress, done);
  return !g_cancellable_set_error_if_cancelled (reading->cancellable, error);
}

static gboolean
sum_up (UsherBundleFile *file, int fd, GCancellable *cancellable, GError **error)
{
  g_autofree char *what = g_strdup_printf ("reading %s", file->name);
  g_autoptr (UsherProgress) progress = file->size >= SHOWN ? usher_progress_new (what, 0, file->size) : NULL;
  g_autoptr (UsherChecksum) checksum = usher_checksum_new ();
  Reading reading = { progress, cancellable };
  char text[USHER_CHECKSUM_SIZE];

  if (!usher_checksum_add_fd (checksum, fd, file->size, on_read, &reading, error)) {
    g_prefix_error (error, "%s: ", file->path);
    return FALSE;
  }
  usher_checksum_end (checksum, text);
  file->sha256 = g_strdup (text);
  return TRUE;
}

static gboolean
add_file (UsherBundle *bundle, const char *directory, const char *name, const char *sha256, GCancellable *cancellable,
          GError **error)
{
  UsherBundleFile *file = g_new0 (UsherBundleFile, 1);
  struct stat status;
  gboolean done;
  int fd;

  g_ptr_array_add (bundle->files, file);
  file->name = g_strdup (name);
  file->path = g_build_filename (directory, name, NULL);
  fd = open (file->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 || fstat (fd, &status) != 0 || !S_ISREG (status.st_mode) || status.st_size == 0) {
    g_set_error (error, USHER_ERROR, fd < 0 && errno == ENOENT ? USHER_ERROR_MISSING : USHER_ERROR_INVALID, "%s: %s", file->path,
                 fd < 0 ? g_strerror (errno) : "is empty, or not a regular file");
    if (fd >= 0)
      close (fd);
    return FALSE;
  }
  file->size = (guint64) status.st_size;
  bundle->size += file->size;
  done = sum_up (file, fd, cancellable, error);
  close (fd);
  if (done && sha256 != NULL && strcmp (sha256, file->sha256) != 0) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "%s is damaged: its checksum is %s, the manifest says %s", file->path,
                 file->sha256, sha256);
    return FALSE;
  }
  return done;
}

static json_t *
as_uploaded (const json_t *manifest)
{
  static const char *const given[] = { "version", "parent", "note", "files" };
  json_t *copy = json_deep_copy (manifest);

  for (gsize i = 0; i < G_N_ELEMENTS (given); i++)
    json_object_del (copy, given[i]);
  return copy;
}

/* With what a manifest must say and that is not known yet. */
static UsherTemplateManifest *
parse (const json_t *manifest, GError **error)
{
  static const char unknown[] = "0000000000000000000000000000000000000000000000000000000000000000";
  json_auto_t *whole = json_deep_copy (manifest);
  json_t *disk = json_object_get (whole, "disk");

  json_object_set_new (whole, "version", json_integer (1));
  if (json_is_object (disk) && json_object_get (disk, "sha256") == NULL)
    json_object_set_new (disk, "sha256", json_string (unknown));
  return usher_template_manifest_parse (whole, "manifest.json", error);
}

gboolean
usher_bundle_check (const json_t *manifest, GError **error)
{
  json_auto_t *uploaded = as_uploaded (manifest);
  g_autoptr (UsherTemplateManifest) values = parse (uploaded, error);

  return values != NULL;
}

static gboolean
add_disk (UsherBundle *bundle, const char *directory, const UsherTemplateManifest *values, GCancellable *cancellable, GError **error)
{
  json_t *disk = json_object_get (bundle->manifest, "disk");
  const char *sha256 = json_string_value (json_object_get (disk, "sha256"));

  if (!add_file (bundle, directory, values->disk_file, sha256, cancellable, error))
    return FALSE;
  if (sha256 == NULL)
    json_object_set_new (disk, "sha256", json_string (((UsherBundleFile *) bundle->files->pdata[0])->sha256));
  return TRUE;
}

UsherBundle *
usher_bundle_new (const json_t *manifest, const char *directory, GCancellable *cancellable, GError **error)
{
  g_autoptr (UsherBundle) bundle = g_new0 (UsherBundle, 1);
  g_autoptr (UsherTemplateManifest) values = NULL;

  bundle->files = g_ptr_array_new_with_free_func ((GDestroyNotify) file_free);
  bundle->manifest = as_uploaded (manifest);
  bundle->note = g_strdup (json_string_value (json_object_get (manifest, "note")));
  values = parse (bundle->manifest, error);
  if (values == NULL)
    return NULL;
  bundle->name = g_strdup (values->name);
  if ((values->disk_file != NULL && !add_disk (bundle, directory, values, cancellable, error)) ||
      (values->kernel_file != NULL && !add_file (bundle, directory, values->kernel_file, NULL, cancellable, error)) ||
      (values->initrd_file != NULL && !add_file (bundle, directory, values->initrd_file, NULL, cancellable, error)))
    return NULL;
  return g_steal_pointer (&bundle);
}

UsherBundle *
usher_bundle_open (const char *directory, const char *name, GCancellable *cancellable, GError **error)
{
  g_autofree char *path = g_build_filename (directory, "manifest.json", NULL);
  json_auto_t *manifest = usher_json_read_file (path, error);

  if (manifest == NULL)
    return NULL;
  if (name != NULL && json_is_object (manifest))
    json_object_set_new (manifest, "name", json_string (name));
  return usher_bundle_new (manifest, directory, cancellable, error);
}

json_t *
usher_bundle_files (const UsherBundle *bundle)
{
  json_t *files = json_array ();

  for (guint i = 0; i < bundle->files->len; i++) {
    const UsherBundleFile *file = bundle->files->pdata[i];
    json_array_append_new (files, json_pack ("{s:s, s:I, s:s}", "file", file->name, "size", (json_int_t) file->size, "sha256",
                                             file->sha256));
  }
  return files;
}

void
usher_bundle_free (UsherBundle *bundle)
{
  if (bundle == NULL)
    return;
  g_free (bundle->name);
  g_free (bundle->note);
  json_decref (bundle->manifest);
  g_ptr_array_unref (bundle->files);
  g_free (bundle);
}
