#include "templates/manifest.h"

#include <string.h>

#include "common/error.h"
#include "common/json.h"

#define TERABYTE (G_GINT64_CONSTANT (1) << 40)

static const char *const video_names[] = { "qxl", "virtio", "vga", NULL };
static const char *const ready_names[] = { "agent", "running", NULL };
static const char *const guest_names[] = { "linux", "windows", "other", NULL };
static const char *const firmware_names[] = { "bios", "uefi", NULL };
static const char *const format_names[] = { "qcow2", NULL };

/* One member's error: «WHAT: PATH.KEY: MESSAGE», PATH empty at the top of the document. */
static gboolean G_GNUC_PRINTF (4, 5)
wrong (GError **error, UsherJson at, const char *key, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  g_autofree char *message = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  const char *dot = at.path != NULL && *at.path != '\0' ? "." : "";
  g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "%s%s%s: %s", at.path != NULL ? at.path : "", dot, key, message);
  return FALSE;
}

static gboolean
only_of (const char *text, const char *extra)
{
  for (const char *c = text; *c != '\0'; c++)
    if (!g_ascii_islower (*c) && !g_ascii_isdigit (*c) && strchr (extra, *c) == NULL)
      return FALSE;
  return TRUE;
}

gboolean
usher_template_name_is_valid (const char *text)
{
  if (text == NULL || *text == '\0' || strlen (text) > 63)
    return FALSE;
  return only_of (text, "-") && text[0] != '-' && text[strlen (text) - 1] != '-';
}

/* A file beside the manifest: no slash, no leading dot, nothing a shell or a URL would take amiss. */
static gboolean
is_plain_file_name (const char *text)
{
  if (*text == '\0' || *text == '.' || *text == '-' || strlen (text) > 100 || g_str_equal (text, "manifest.json"))
    return FALSE;
  for (const char *c = text; *c != '\0'; c++)
    if (!g_ascii_isalnum (*c) && strchr ("._-", *c) == NULL)
      return FALSE;
  return TRUE;
}

gboolean
usher_template_file_is_valid (const char *text)
{
  return text != NULL && is_plain_file_name (text);
}

static gboolean
is_sha256 (const char *text)
{
  if (strlen (text) != 64)
    return FALSE;
  for (const char *c = text; *c != '\0'; c++)
    if (!g_ascii_isdigit (*c) && !(*c >= 'a' && *c <= 'f'))
      return FALSE;
  return TRUE;
}

static gboolean
is_one_line (const char *text)
{
  for (const char *c = text; *c != '\0'; c++)
    if (g_ascii_iscntrl (*c))
      return FALSE;
  return g_utf8_validate (text, -1, NULL);
}

static gboolean
get_file_name (UsherJson at, const char *key, char **out, GError **error)
{
  const char *text = NULL;
  if (!usher_json_get_string (at, key, &text, error))
    return FALSE;
  if (!is_plain_file_name (text))
    return wrong (error, at, key, "must be a plain file name (letters, digits, '.', '_', '-'; no folder)");
  *out = g_strdup (text);
  return TRUE;
}

static gboolean
get_choice (UsherJson at, const char *key, const char *const *names, int *out, GError **error)
{
  const char *text = NULL;
  if (!usher_json_get_string (at, key, &text, error))
    return FALSE;
  for (int i = 0; names[i] != NULL; i++)
    if (g_str_equal (names[i], text))
      {
        *out = i;
        return TRUE;
      }
  g_autofree char *known = g_strjoinv (" | ", (char **) names);
  return wrong (error, at, key, "must be one of %s", known);
}

/* The object `at.key`, with exactly the members `known`; its path goes to *out_path (owned by the caller). */
static gboolean
enter (UsherJson at, const char *key, const char *const *known, UsherJson *out, char **out_path, GError **error)
{
  const json_t *object = NULL;
  if (!usher_json_get_object (at, key, &object, error))
    return FALSE;
  *out_path = *at.path != '\0' ? g_strconcat (at.path, ".", key, NULL) : g_strdup (key);
  *out = (UsherJson){ object, *out_path };
  return usher_json_only (*out, known, error);
}

/* disk and boot must be said, but may be null: the template has none. */
static gboolean
is_null (UsherJson at, const char *key)
{
  return json_is_null (json_object_get (at.object, key));
}

static gboolean
read_disk (UsherTemplateManifest *manifest, UsherJson at, GError **error)
{
  static const char *const known[] = { "file", "format", "sha256", "virtual_size", NULL };
  if (is_null (at, "disk"))
    return TRUE;
  UsherJson disk;
  g_autofree char *path = NULL;
  const char *sha256 = NULL;
  int format;
  if (!enter (at, "disk", known, &disk, &path, error) || !get_file_name (disk, "file", &manifest->disk_file, error)
      || !get_choice (disk, "format", format_names, &format, error)
      || !usher_json_get_string (disk, "sha256", &sha256, error)
      || !usher_json_get_int (disk, "virtual_size", 512, 64 * TERABYTE, &manifest->disk_virtual_size, error))
    return FALSE;
  if (!is_sha256 (sha256))
    return wrong (error, disk, "sha256", "must be 64 lower-case hexadecimal digits");
  if (manifest->disk_virtual_size % 512 != 0)
    return wrong (error, disk, "virtual_size", "must be a multiple of 512 bytes");
  manifest->disk_sha256 = g_strdup (sha256);
  return TRUE;
}

static gboolean
read_boot (UsherTemplateManifest *manifest, UsherJson at, GError **error)
{
  static const char *const known[] = { "kernel", "initrd", "cmdline", NULL };
  if (is_null (at, "boot"))
    return TRUE;
  UsherJson boot;
  g_autofree char *path = NULL;
  const char *cmdline = NULL;
  if (!enter (at, "boot", known, &boot, &path, error) || !get_file_name (boot, "kernel", &manifest->kernel_file, error)
      || !get_file_name (boot, "initrd", &manifest->initrd_file, error)
      || !usher_json_get_string (boot, "cmdline", &cmdline, error))
    return FALSE;
  if (strlen (cmdline) > USHER_TEMPLATE_CMDLINE_MAX || !is_one_line (cmdline))
    return wrong (error, boot, "cmdline", "must be one line of at most %d bytes", USHER_TEMPLATE_CMDLINE_MAX);
  manifest->cmdline = g_strdup (cmdline);
  return TRUE;
}

static gboolean
read_size (UsherJson at, const char *key, gint64 *out_vcpus, gint64 *out_ram_mib, GError **error)
{
  static const char *const known[] = { "vcpus", "ram_mib", NULL };
  UsherJson size;
  g_autofree char *path = NULL;
  return enter (at, key, known, &size, &path, error) && usher_json_get_int (size, "vcpus", 1, 64, out_vcpus, error)
         && usher_json_get_int (size, "ram_mib", 64, 1048576, out_ram_mib, error);
}

static gboolean
read_sizes (UsherTemplateManifest *manifest, UsherJson at, GError **error)
{
  if (!read_size (at, "minimum", &manifest->minimum_vcpus, &manifest->minimum_ram_mib, error)
      || !read_size (at, "default", &manifest->default_vcpus, &manifest->default_ram_mib, error))
    return FALSE;
  if (manifest->default_vcpus < manifest->minimum_vcpus)
    return wrong (error, at, "default.vcpus", "must be at least minimum.vcpus (%" G_GINT64_FORMAT ")",
                  manifest->minimum_vcpus);
  if (manifest->default_ram_mib < manifest->minimum_ram_mib)
    return wrong (error, at, "default.ram_mib", "must be at least minimum.ram_mib (%" G_GINT64_FORMAT ")",
                  manifest->minimum_ram_mib);
  return TRUE;
}

static gboolean
read_ready (UsherTemplateManifest *manifest, UsherJson at, GError **error)
{
  static const char *const known[] = { "rule", "timeout_s", NULL };
  UsherJson ready;
  g_autofree char *path = NULL;
  int rule;
  if (!enter (at, "ready", known, &ready, &path, error) || !get_choice (ready, "rule", ready_names, &rule, error)
      || !usher_json_get_int (ready, "timeout_s", 1, 3600, &manifest->ready_timeout_s, error))
    return FALSE;
  manifest->ready = (UsherTemplateReady) rule;
  return TRUE;
}

static gboolean
read_sealed (UsherTemplateManifest *manifest, UsherJson at, GError **error)
{
  const json_t *steps = NULL;
  if (!usher_json_get_array (at, "sealed", &steps, error))
    return FALSE;
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  for (size_t i = 0; i < json_array_size (steps); i++)
    {
      const char *step = json_string_value (json_array_get (steps, i));
      g_autofree char *key = g_strdup_printf ("sealed[%" G_GSIZE_FORMAT "]", i);
      if (!usher_template_name_is_valid (step))
        return wrong (error, at, key, "must be the name of a seal step ([a-z0-9-])");
      g_strv_builder_add (builder, step);
    }
  manifest->sealed = g_strv_builder_end (builder);
  return TRUE;
}

static gboolean
read_machine (UsherTemplateManifest *manifest, UsherJson at, GError **error)
{
  const char *machine = NULL;
  int guest, video, firmware = USHER_TEMPLATE_FIRMWARE_BIOS;
  if (!usher_json_get_string (at, "machine", &machine, error) || !get_choice (at, "guest", guest_names, &guest, error)
      || !get_choice (at, "video", video_names, &video, error)
      || (json_object_get (at.object, "firmware") != NULL && !get_choice (at, "firmware", firmware_names, &firmware, error)))
    return FALSE;
  /* The device model is part of a template: an unversioned alias ("q35") would change under its desktops. */
  if (!g_str_has_prefix (machine, "pc-q35-") || !g_ascii_isdigit (machine[7]) || !only_of (machine, "-."))
    return wrong (error, at, "machine", "must be a pinned q35 machine type, e.g. pc-q35-7.2");
  manifest->machine = g_strdup (machine);
  manifest->video = (UsherTemplateVideo) video;
  manifest->guest = (UsherTemplateGuest) guest;
  manifest->firmware = (UsherTemplateFirmware) firmware;
  return TRUE;
}

static gboolean
read_identity (UsherTemplateManifest *manifest, UsherJson at, GError **error)
{
  const char *name = NULL;
  if (!usher_json_get_string (at, "name", &name, error)
      || !usher_json_get_int (at, "version", 1, G_MAXINT32, &manifest->version, error))
    return FALSE;
  if (!usher_template_name_is_valid (name))
    return wrong (error, at, "name", "must be [a-z0-9-], at most 63 characters, no '-' at either end");
  manifest->name = g_strdup (name);
  return TRUE;
}

/* Where the version came from: optional, since versions made by hand tell nothing of it. */
static gboolean
read_history (UsherTemplateManifest *manifest, UsherJson at, GError **error)
{
  const char *note = "";
  if (!usher_json_find_int (at, "parent", 1, G_MAXINT32, &manifest->parent, error)
      || !usher_json_find_string (at, "note", &note, error))
    return FALSE;
  if (manifest->parent >= manifest->version)
    return wrong (error, at, "parent", "must be lower than version (%" G_GINT64_FORMAT ")", manifest->version);
  if (g_utf8_strlen (note, -1) > USHER_TEMPLATE_NOTE_MAX)
    return wrong (error, at, "note", "must be of at most %d characters", USHER_TEMPLATE_NOTE_MAX);
  for (const char *c = note; *c != '\0'; c++)
    if (g_ascii_iscntrl (*c) && *c != '\n')
      return wrong (error, at, "note", "must not hold control characters");
  manifest->note = g_strdup (note);
  return TRUE;
}

static void
file_free (UsherTemplateFile *file)
{
  g_free (file->name);
  g_free (file->sha256);
  g_free (file);
}

static gboolean
read_file (UsherTemplateManifest *manifest, UsherJson at, GError **error)
{
  static const char *const known[] = { "file", "size", "sha256", NULL };
  const char *sha256 = NULL;
  UsherTemplateFile *file = g_new0 (UsherTemplateFile, 1);
  g_ptr_array_add (manifest->files, file);
  if (!json_is_object (at.object))
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "%s: must be an object", at.path);
      return FALSE;
    }
  if (!usher_json_only (at, known, error) || !get_file_name (at, "file", &file->name, error)
      || !usher_json_get_int (at, "size", 1, 64 * TERABYTE, &file->size, error)
      || !usher_json_get_string (at, "sha256", &sha256, error))
    return FALSE;
  if (!is_sha256 (sha256))
    return wrong (error, at, "sha256", "must be 64 lower-case hexadecimal digits");
  file->sha256 = g_strdup (sha256);
  return TRUE;
}

/* How often "files" names it. */
static guint
count_file (const UsherTemplateManifest *manifest, const char *name, const UsherTemplateFile **out_file)
{
  guint count = 0;
  for (guint i = 0; i < manifest->files->len; i++)
    {
      const UsherTemplateFile *file = manifest->files->pdata[i];
      if (!g_str_equal (file->name, name))
        continue;
      *out_file = file;
      count++;
    }
  return count;
}

static gboolean
is_used (const UsherTemplateManifest *manifest, const char *name)
{
  return g_strcmp0 (name, manifest->disk_file) == 0 || g_strcmp0 (name, manifest->kernel_file) == 0
         || g_strcmp0 (name, manifest->initrd_file) == 0;
}

/* "files" must be the very files that the rest of the manifest speaks of. */
static gboolean
compare_files (const UsherTemplateManifest *manifest, UsherJson at, GError **error)
{
  const char *const used[] = { manifest->disk_file, manifest->kernel_file, manifest->initrd_file };
  const UsherTemplateFile *file = NULL;
  for (guint i = 0; i < G_N_ELEMENTS (used); i++)
    {
      guint count = used[i] != NULL ? count_file (manifest, used[i], &file) : 1;
      if (count != 1)
        return wrong (error, at, "files", "must name %s once, not %u times", used[i], count);
      if (i == 0 && used[i] != NULL && !g_str_equal (file->sha256, manifest->disk_sha256))
        return wrong (error, at, "files", "%s has another sha256 than disk.sha256", used[i]);
    }
  for (guint i = 0; i < manifest->files->len; i++)
    {
      file = manifest->files->pdata[i];
      if (!is_used (manifest, file->name))
        return wrong (error, at, "files", "%s is neither disk, kernel nor initrd", file->name);
    }
  return TRUE;
}

static gboolean
read_files (UsherTemplateManifest *manifest, UsherJson at, GError **error)
{
  const json_t *files = json_object_get (at.object, "files");
  manifest->files = g_ptr_array_new_with_free_func ((GDestroyNotify) file_free);
  if (files == NULL)
    return TRUE;
  if (!json_is_array (files) || json_array_size (files) == 0 || json_array_size (files) > 3)
    return wrong (error, at, "files", "must be a list of one to three files");
  for (size_t i = 0; i < json_array_size (files); i++)
    {
      g_autofree char *path = g_strdup_printf ("files[%" G_GSIZE_FORMAT "]", i);
      if (!read_file (manifest, (UsherJson){ json_array_get (files, i), path }, error))
        return FALSE;
    }
  return compare_files (manifest, at, error);
}

static gboolean
read_all (UsherTemplateManifest *manifest, UsherJson at, GError **error)
{
  static const char *const known[] = { "name",    "version", "disk",  "boot",  "machine", "guest",
                                       "minimum", "default", "video", "ready", "sealed",  "firmware",
                                       "parent",  "note",    "files", NULL };
  if (!usher_json_only (at, known, error) || !read_identity (manifest, at, error) || !read_disk (manifest, at, error)
      || !read_boot (manifest, at, error) || !read_machine (manifest, at, error) || !read_sizes (manifest, at, error)
      || !read_ready (manifest, at, error) || !read_sealed (manifest, at, error) || !read_history (manifest, at, error)
      || !read_files (manifest, at, error))
    return FALSE;
  if (manifest->disk_file == NULL && manifest->kernel_file == NULL)
    return wrong (error, at, "boot", "there is no disk either: nothing to start");
  return TRUE;
}

UsherTemplateManifest *
usher_template_manifest_parse (const json_t *document, const char *what, GError **error)
{
  if (!json_is_object (document))
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "%s: must be a JSON object", what);
      return NULL;
    }
  g_autoptr (UsherTemplateManifest) manifest = g_new0 (UsherTemplateManifest, 1);
  UsherJson at = { document, "" };
  if (!read_all (manifest, at, error))
    {
      g_prefix_error (error, "%s: ", what);
      return NULL;
    }
  return g_steal_pointer (&manifest);
}

const char *
usher_template_video_name (UsherTemplateVideo video)
{
  return video_names[video];
}

const char *
usher_template_firmware_name (UsherTemplateFirmware firmware)
{
  return firmware_names[firmware];
}

const char *
usher_template_guest_name (UsherTemplateGuest guest)
{
  return guest_names[guest];
}

const char *
usher_template_ready_name (UsherTemplateReady ready)
{
  return ready_names[ready];
}

void
usher_template_manifest_free (UsherTemplateManifest *manifest)
{
  if (manifest == NULL)
    return;
  g_free (manifest->name);
  g_free (manifest->disk_file);
  g_free (manifest->disk_sha256);
  g_free (manifest->kernel_file);
  g_free (manifest->initrd_file);
  g_free (manifest->cmdline);
  g_free (manifest->machine);
  g_strfreev (manifest->sealed);
  g_free (manifest->note);
  g_clear_pointer (&manifest->files, g_ptr_array_unref);
  g_free (manifest);
}
