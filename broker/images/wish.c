#include "broker/images/wish.h"
#include <string.h>
#include "common/checksum.h"
#include "common/error.h"
#include "templates/manifest.h"

/* What the broker writes into a manifest, or asks for beside it. */
static const char *const ours[] = { "version", "parent", "note", "files" };

void
usher_image_wish_free (UsherImageWish *wish)
{
  if (wish == NULL)
    return;
  json_decref (wish->manifest);
  json_decref (wish->files);
  g_free (wish->note);
  g_free (wish->digest);
  g_free (wish);
}

/* `manifest` (borrowed) with all that makes it a version's. */
static json_t *
whole (const json_t *manifest, gint64 version, const json_t *files, const char *note, gint64 parent)
{
  json_t *document = json_copy ((json_t *) manifest);
  json_object_set_new (document, "version", json_integer (version));
  json_object_set (document, "files", (json_t *) files);
  json_object_set_new (document, "note", json_string (note));
  if (parent > 0)
    json_object_set_new (document, "parent", json_integer (parent));
  return document;
}

static int
by_name (gconstpointer a, gconstpointer b)
{
  return strcmp ((*(UsherTemplateFile *const *) a)->name, (*(UsherTemplateFile *const *) b)->name);
}

/* In one order, whatever order they were sent in. */
static json_t *
list_files (GPtrArray *files)
{
  json_t *list = json_array ();
  g_ptr_array_sort (files, by_name);
  for (guint i = 0; i < files->len; i++) {
    const UsherTemplateFile *file = files->pdata[i];
    json_array_append_new (list, json_pack ("{s:s, s:I, s:s}", "file", file->name, "size", (json_int_t) file->size, "sha256",
                                            file->sha256));
  }
  return list;
}

static gboolean
within_limits (const UsherTemplateManifest *manifest, const UsherImages *limits, GError **error)
{
  gint64 total = 0;
  for (guint i = 0; i < manifest->files->len; i++)
    total += ((UsherTemplateFile *) manifest->files->pdata[i])->size; /* at most three of 64 TiB */
  if (total > limits->upload_max)
    g_set_error (error, USHER_ERROR, USHER_ERROR_TOO_LARGE,
                 "body.files: %" G_GINT64_FORMAT " bytes are more than [templates] max_upload_mib allows (%" G_GINT64_FORMAT ")", total,
                 limits->upload_max);
  else if (manifest->disk_virtual_size > limits->disk_max)
    g_set_error (error, USHER_ERROR, USHER_ERROR_TOO_LARGE,
                 "body.manifest.disk.virtual_size: more than [templates] max_disk_gib allows (%" G_GINT64_FORMAT " bytes)",
                 limits->disk_max);
  else
    return TRUE;
  return FALSE;
}

static char *
text_digest (const char *text)
{
  char sum[USHER_CHECKSUM_SIZE];
  g_autoptr (UsherChecksum) checksum = usher_checksum_new ();
  usher_checksum_add (checksum, text, strlen (text));
  usher_checksum_end (checksum, sum);
  return g_strdup (sum);
}

static char *
digest_of (const UsherImageWish *wish)
{
  json_auto_t *all = json_pack ("{s:s, s:O, s:O, s:I}", "template", wish->wish.template, "manifest", wish->manifest, "files",
                                wish->files, "parent", (json_int_t) wish->wish.parent);
  g_autofree char *line = usher_json_to_line (all);
  return text_digest (line);
}

/* The manifest as it will be, so that all is checked in one place; its number is not known yet. */
static UsherTemplateManifest *
check_whole (const json_t *manifest, const json_t *files, const char *note, gint64 parent, const char *template, GError **error)
{
  json_auto_t *document = whole (manifest, G_MAXINT32, files, note, parent);
  g_autoptr (UsherTemplateManifest) parsed = usher_template_manifest_parse (document, "body.manifest", error);
  if (parsed == NULL || g_str_equal (parsed->name, template))
    return g_steal_pointer (&parsed);
  g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "body.manifest: name: is \"%s\", not \"%s\"", parsed->name, template);
  return NULL;
}

UsherImageWish *
usher_image_wish_parse (UsherJson body, const char *template, const UsherImages *limits, GError **error)
{
  static const char *const known[] = { "manifest", "files", "note", "parent_version", NULL };
  const json_t *manifest = NULL, *files = NULL;
  const char *note = NULL;
  gint64 parent = 0;
  if (!usher_json_only (body, known, error) || !usher_json_get_object (body, "manifest", &manifest, error)
      || !usher_json_get_array (body, "files", &files, error) || !usher_json_find_string (body, "note", &note, error)
      || !usher_json_find_int (body, "parent_version", 1, G_MAXINT32 - 1, &parent, error))
    return NULL;
  if (json_object_get (manifest, "version") != NULL) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "body.manifest: version: must not be said: the broker gives the next number");
    return NULL;
  }
  if (note == NULL)
    note = usher_json_string (manifest, "note");
  g_autoptr (UsherTemplateManifest) parsed = check_whole (manifest, files, note, parent, template, error);
  if (parsed == NULL || !within_limits (parsed, limits, error))
    return NULL;
  UsherImageWish *wish = g_new0 (UsherImageWish, 1);
  wish->manifest = json_copy ((json_t *) manifest);
  for (guint i = 0; i < G_N_ELEMENTS (ours); i++)
    json_object_del (wish->manifest, ours[i]);
  wish->files = list_files (parsed->files);
  wish->note = g_strdup (note);
  wish->wish = (UsherUploadWish){ .template = template, .note = wish->note, .manifest = wish->manifest, .files = wish->files,
                                  .parent = parent };
  wish->wish.digest = wish->digest = digest_of (wish);
  return wish;
}

char *
usher_image_manifest_text (const UsherUpload *upload)
{
  json_auto_t *document = whole (upload->manifest, upload->version, upload->files, upload->note, upload->parent);
  g_autofree char *line = usher_json_to_line (document);
  return g_strconcat (line, "\n", NULL);
}

json_t *
usher_image_files (const UsherUpload *upload, const char *manifest_text)
{
  g_autofree char *sha256 = text_digest (manifest_text);
  json_t *files = json_pack ("[{s:s, s:I, s:s}]", "file", "manifest.json", "size", (json_int_t) strlen (manifest_text), "sha256", sha256);
  json_array_extend (files, upload->files);
  return files;
}
