#include "common/json.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"

#define FILE_LIMIT (16 * 1024 * 1024)

json_t *
usher_json_parse (const char *text, gsize length, const char *what, GError **error)
{
  json_error_t at;
  json_t *value = json_loadb (text, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &at);
  if (value == NULL)
    g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "%s: line %d, column %d: %s", what, at.line, at.column, at.text);
  return value;
}

json_t *
usher_json_read_file (const char *path, GError **error)
{
  GStatBuf status;
  g_autofree char *text = NULL;
  gsize length = 0;
  g_autoptr (GError) local = NULL;

  if (g_stat (path, &status) == 0 && status.st_size > FILE_LIMIT)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_TOO_LARGE, "%s: over %d bytes", path, FILE_LIMIT);
      return NULL;
    }
  if (!g_file_get_contents (path, &text, &length, &local))
    {
      gboolean missing = g_error_matches (local, G_FILE_ERROR, G_FILE_ERROR_NOENT);
      g_set_error (error, USHER_ERROR, missing ? USHER_ERROR_MISSING : USHER_ERROR_UNAVAILABLE, "%s", local->message);
      return NULL;
    }
  return usher_json_parse (text, length, path, error);
}

gboolean
usher_json_write_file (const char *path, const json_t *value, int mode, GError **error)
{
  g_autofree char *line = usher_json_to_line (value);
  g_autofree char *text = g_strconcat (line, "\n", NULL);
  g_autoptr (GError) local = NULL;
  if (g_file_set_contents_full (path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE, mode, &local))
    return TRUE;
  gboolean full = g_error_matches (local, G_FILE_ERROR, G_FILE_ERROR_NOSPC);
  g_set_error (error, USHER_ERROR, full ? USHER_ERROR_EXHAUSTED : USHER_ERROR_UNAVAILABLE, "%s", local->message);
  return FALSE;
}

char *
usher_json_to_line (const json_t *value)
{
  return json_dumps (value, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);
}

/* ---- reading by path ---- */

static gboolean
wrong (UsherJson at, const char *key, const char *wanted, GError **error)
{
  gboolean top = at.path == NULL || at.path[0] == '\0';
  g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "%s%s%s: %s", top ? "" : at.path, top ? "" : ".", key, wanted);
  return FALSE;
}

/* The member, or NULL when it is absent or null. */
static const json_t *
member (UsherJson at, const char *key)
{
  const json_t *value = at.object != NULL ? json_object_get (at.object, key) : NULL;
  return json_is_null (value) ? NULL : value;
}

gboolean
usher_json_find_string (UsherJson at, const char *key, const char **out, GError **error)
{
  const json_t *value = member (at, key);
  if (value == NULL)
    return TRUE;
  if (!json_is_string (value))
    return wrong (at, key, "must be a string", error);
  if (strlen (json_string_value (value)) != json_string_length (value))
    return wrong (at, key, "must not hold a NUL character", error);
  *out = json_string_value (value);
  return TRUE;
}

gboolean
usher_json_find_int (UsherJson at, const char *key, gint64 min, gint64 max, gint64 *out, GError **error)
{
  const json_t *value = member (at, key);
  if (value == NULL)
    return TRUE;
  if (!json_is_integer (value) || json_integer_value (value) < min || json_integer_value (value) > max)
    {
      g_autofree char *wanted = g_strdup_printf ("must be a whole number from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT, min, max);
      return wrong (at, key, wanted, error);
    }
  *out = json_integer_value (value);
  return TRUE;
}

gboolean
usher_json_find_bool (UsherJson at, const char *key, gboolean *out, GError **error)
{
  const json_t *value = member (at, key);
  if (value == NULL)
    return TRUE;
  if (!json_is_boolean (value))
    return wrong (at, key, "must be true or false", error);
  *out = json_is_true (value);
  return TRUE;
}

static gboolean
required (UsherJson at, const char *key, GError **error)
{
  return member (at, key) != NULL || wrong (at, key, "is missing", error);
}

gboolean
usher_json_get_string (UsherJson at, const char *key, const char **out, GError **error)
{
  return required (at, key, error) && usher_json_find_string (at, key, out, error);
}

gboolean
usher_json_get_int (UsherJson at, const char *key, gint64 min, gint64 max, gint64 *out, GError **error)
{
  return required (at, key, error) && usher_json_find_int (at, key, min, max, out, error);
}

gboolean
usher_json_get_bool (UsherJson at, const char *key, gboolean *out, GError **error)
{
  return required (at, key, error) && usher_json_find_bool (at, key, out, error);
}

gboolean
usher_json_get_object (UsherJson at, const char *key, const json_t **out, GError **error)
{
  if (!required (at, key, error))
    return FALSE;
  if (!json_is_object (member (at, key)))
    return wrong (at, key, "must be an object", error);
  *out = member (at, key);
  return TRUE;
}

gboolean
usher_json_get_array (UsherJson at, const char *key, const json_t **out, GError **error)
{
  if (!required (at, key, error))
    return FALSE;
  if (!json_is_array (member (at, key)))
    return wrong (at, key, "must be a list", error);
  *out = member (at, key);
  return TRUE;
}

gboolean
usher_json_dup_string (UsherJson at, const char *key, char **out, GError **error)
{
  const char *text;
  if (!usher_json_get_string (at, key, &text, error))
    return FALSE;
  *out = g_strdup (text);
  return TRUE;
}

gboolean
usher_json_get_id (UsherJson at, const char *key, char out[USHER_ID_SIZE], GError **error)
{
  const char *id;
  if (!usher_json_get_string (at, key, &id, error))
    return FALSE;
  if (!usher_id_is_valid (id))
    return wrong (at, key, "is not an id", error);
  g_strlcpy (out, id, USHER_ID_SIZE);
  return TRUE;
}

gboolean
usher_json_get_name (UsherJson at, const char *key, const char *const *names, gsize n_names, int *out, GError **error)
{
  const char *name;
  if (!usher_json_get_string (at, key, &name, error))
    return FALSE;
  for (gsize i = 0; i < n_names; i++)
    if (g_strcmp0 (names[i], name) == 0)
      {
        *out = i;
        return TRUE;
      }
  g_autofree char *problem = g_strdup_printf ("«%s» is not known", name);
  return wrong (at, key, problem, error);
}

gboolean
usher_json_only (UsherJson at, const char *const *known, GError **error)
{
  const char *key;
  json_t *value;
  if (!json_is_object (at.object))
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "%s: must be an object",
                   at.path != NULL && at.path[0] != '\0' ? at.path : "document");
      return FALSE;
    }
  json_object_foreach ((json_t *) at.object, key, value)
    if (!g_strv_contains (known, key))
      return wrong (at, key, "is not known", error);
  return TRUE;
}

const char *
usher_json_string (const json_t *object, const char *key)
{
  const char *text = json_string_value (json_object_get (object, key));
  return text != NULL ? text : "";
}

gint64
usher_json_int (const json_t *object, const char *key)
{
  return json_integer_value (json_object_get (object, key));
}
