#include "hostd/images/wanted.h"

#include <string.h>

#include "common/checksum.h"
#include "common/error.h"
#include "templates/manifest.h"

char *
usher_version_key (const char *name, gint64 version)
{
  return g_strdup_printf ("%s/%" G_GINT64_FORMAT, name, version);
}

/* ---- copies ---- */

static gint
by_size (gconstpointer a, gconstpointer b)
{
  const UsherImageFile *one = *(const UsherImageFile *const *) a, *other = *(const UsherImageFile *const *) b;
  return one->size != other->size ? (one->size < other->size ? -1 : 1) : strcmp (one->name, other->name);
}

UsherWantedVersion *
usher_wanted_version_copy (const UsherWantedVersion *from)
{
  UsherWantedVersion *copy = usher_wanted_version_new (from->template_name, from->template_version);
  for (guint i = 0; i < from->files->len; i++)
    {
      const UsherImageFile *file = from->files->pdata[i];
      UsherImageFile *one = g_new0 (UsherImageFile, 1);
      *one = (UsherImageFile) { g_strdup (file->name), file->size, g_strdup (file->sha256) };
      g_ptr_array_add (copy->files, one);
    }
  g_ptr_array_sort (copy->files, by_size);
  return copy;
}

gboolean
usher_wanted_version_equal (const UsherWantedVersion *copy, const UsherWantedVersion *other)
{
  g_autoptr (GPtrArray) in_order = g_ptr_array_copy (other->files, NULL, NULL);
  g_ptr_array_set_free_func (in_order, NULL);
  g_ptr_array_sort (in_order, by_size);
  gboolean same = in_order->len == copy->files->len;
  for (guint i = 0; same && i < in_order->len; i++)
    {
      const UsherImageFile *a = copy->files->pdata[i], *b = in_order->pdata[i];
      same = a->size == b->size && g_str_equal (a->name, b->name) && g_str_equal (a->sha256, b->sha256);
    }
  return same;
}

/* ---- checks ---- */

static gboolean G_GNUC_PRINTF (3, 4)
wrong (GError **error, const UsherWantedVersion *version, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  g_autofree char *message = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "the broker's answer: template %s/%" G_GINT64_FORMAT ": %s",
               version->template_name, version->template_version, message);
  return FALSE;
}

static gboolean
is_sha256 (const char *text)
{
  return strlen (text) == USHER_CHECKSUM_SIZE - 1 && strspn (text, "0123456789abcdef") == USHER_CHECKSUM_SIZE - 1;
}

static gboolean
check_file (const UsherWantedVersion *version, const UsherImageFile *file, GHashTable *names, GError **error)
{
  if (!g_str_equal (file->name, "manifest.json") && !usher_template_file_is_valid (file->name))
    return wrong (error, version, "«%s» is no plain file name", file->name);
  if (!g_hash_table_add (names, file->name))
    return wrong (error, version, "%s is there twice", file->name);
  if (!is_sha256 (file->sha256))
    return wrong (error, version, "%s: «%s» is no SHA-256", file->name, file->sha256);
  if (file->size < 1 || file->size > USHER_IMAGE_BYTES_MAX)
    return wrong (error, version, "%s: %" G_GINT64_FORMAT " is no size of a file", file->name, file->size);
  return TRUE;
}

gboolean
usher_wanted_version_check (const UsherWantedVersion *version, GError **error)
{
  g_autoptr (GHashTable) names = g_hash_table_new (g_str_hash, g_str_equal);
  if (!usher_template_name_is_valid (version->template_name) || version->template_version < 1)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "the broker's answer: «%s/%" G_GINT64_FORMAT "» is no template's version",
                   version->template_name, version->template_version);
      return FALSE;
    }
  if (version->files->len > USHER_IMAGE_FILES_MAX)
    return wrong (error, version, "has %u files", version->files->len);
  for (guint i = 0; i < version->files->len; i++)
    if (!check_file (version, version->files->pdata[i], names, error))
      return FALSE;
  if (!g_hash_table_contains (names, "manifest.json"))
    return wrong (error, version, "has no manifest.json, so it can't be fetched");
  return usher_wanted_version_bytes (version) <= USHER_IMAGE_BYTES_MAX || wrong (error, version, "is too large");
}

gint64
usher_wanted_version_bytes (const UsherWantedVersion *version)
{
  gint64 bytes = 0;
  for (guint i = 0; i < version->files->len; i++)
    bytes += ((const UsherImageFile *) version->files->pdata[i])->size;
  return bytes;
}
