#include "common/settings.h"

#include <stdio.h>
#include <string.h>

#include "common/error.h"
#include "config.h"

#define FILE_LIMIT (256 * 1024)

typedef struct {
  char *text;  /* as written or the fallback */
  char **list; /* LIST only */
  gboolean given;
} Value;

struct _UsherSettings {
  const UsherSetting *schema;
  gsize n_values;
  Value *values; /* as the schema's entries */
};

/* Where the parser stands, for messages. */
typedef struct {
  const char *file;
  int line;
} Place;

static gboolean
wrong (const Place *place, GError **error, const char *format, ...) G_GNUC_PRINTF (3, 4);

static gboolean
wrong (const Place *place, GError **error, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  g_autofree char *message = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  if (place->line > 0)
    g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "%s:%d: %s", place->file, place->line, message);
  else
    g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "%s: %s", place->file, message);
  return FALSE;
}

static gssize
find (const UsherSetting *schema, const char *section, const char *key)
{
  for (gssize i = 0; schema[i].section != NULL; i++)
    if (g_str_equal (schema[i].section, section) && g_str_equal (schema[i].key, key))
      return i;
  return -1;
}

static gboolean
has_section (const UsherSetting *schema, const char *section)
{
  for (gsize i = 0; schema[i].section != NULL; i++)
    if (g_str_equal (schema[i].section, section))
      return TRUE;
  return FALSE;
}

/* ---- checking one value by its type; `text` is never empty ---- */

static gboolean
check_int (const UsherSetting *setting, const char *text, const Place *place, GError **error)
{
  gint64 value;
  if (g_ascii_string_to_signed (text, 10, setting->min, setting->max, &value, NULL))
    return TRUE;
  return wrong (place, error, "%s: «%s» is not a whole number from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT, setting->key,
                text, setting->min, setting->max);
}

static gboolean
check_bool (const UsherSetting *setting, const char *text, const Place *place, GError **error)
{
  return g_str_equal (text, "yes") || g_str_equal (text, "no")
         || wrong (place, error, "%s: «%s» is neither yes nor no", setting->key, text);
}

static gboolean
check_choice (const UsherSetting *setting, const char *text, const Place *place, GError **error)
{
  g_auto (GStrv) choices = g_strsplit (setting->choices, "|", -1);
  return g_strv_contains ((const char *const *) choices, text)
         || wrong (place, error, "%s: «%s» is none of %s", setting->key, text, setting->choices);
}

static gboolean
check_path (const UsherSetting *setting, const char *text, const Place *place, GError **error)
{
  return text[0] == '/' || wrong (place, error, "%s: «%s» is not an absolute path", setting->key, text);
}

static gboolean
check_address (const UsherSetting *setting, const char *text, const Place *place, GError **error)
{
  if (g_str_has_prefix (text, "unix:/"))
    return TRUE;
  const char *colon = strrchr (text, ':');
  guint64 port;
  gboolean bracketed = text[0] == '[' && colon != NULL && colon > text && colon[-1] == ']';
  gboolean plain = colon != NULL && colon > text && memchr (text, ':', colon - text) == NULL;
  if ((bracketed || plain) && g_ascii_string_to_unsigned (colon + 1, 10, 0, 65535, &port, NULL))
    return TRUE;
  return wrong (place, error, "%s: «%s» is not HOST:PORT, [V6]:PORT or unix:/PATH", setting->key, text);
}

static gboolean
check_any (const UsherSetting *setting, const char *text, const Place *place, GError **error)
{
  return TRUE;
}

static const struct {
  const char *name;
  gboolean (*check) (const UsherSetting *setting, const char *text, const Place *place, GError **error);
} types[] = {
  [USHER_SETTING_STRING] = { "text", check_any },           [USHER_SETTING_PATH] = { "absolute path", check_path },
  [USHER_SETTING_INT] = { "whole number", check_int },      [USHER_SETTING_BOOL] = { "yes or no", check_bool },
  [USHER_SETTING_CHOICE] = { "one of", check_choice },      [USHER_SETTING_ADDRESS] = { "address", check_address },
  [USHER_SETTING_LIST] = { "words", check_any },
};

static gboolean
set (UsherSettings *settings, gsize i, const char *text, const Place *place, GError **error)
{
  const UsherSetting *setting = &settings->schema[i];
  Value *value = &settings->values[i];
  gboolean may_be_empty = setting->fallback != NULL && setting->fallback[0] == '\0';

  if (text[0] == '\0' && !may_be_empty && setting->type != USHER_SETTING_LIST)
    return wrong (place, error, "%s: has no value", setting->key);
  if (text[0] != '\0' && !types[setting->type].check (setting, text, place, error))
    return FALSE;
  value->text = g_strdup (text);
  if (setting->type == USHER_SETTING_LIST)
    {
      g_auto (GStrv) words = g_strsplit_set (text, " \t", -1);
      g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
      for (gsize w = 0; words[w] != NULL; w++)
        if (words[w][0] != '\0')
          g_strv_builder_add (builder, words[w]);
      value->list = g_strv_builder_end (builder);
    }
  return TRUE;
}

/* ---- the file ---- */

static gboolean
parse_section (UsherSettings *settings, char *line, char **section, const Place *place, GError **error)
{
  char *end = strchr (line, ']');
  if (end == NULL || end[1] != '\0')
    return wrong (place, error, "a section is written [name], alone on its line");
  g_free (*section);
  *section = g_strndup (line + 1, end - line - 1);
  return has_section (settings->schema, *section) || wrong (place, error, "section [%s] is not known", *section);
}

static gboolean
parse_entry (UsherSettings *settings, char *line, const char *section, const Place *place, GError **error)
{
  char *equals = strchr (line, '=');
  if (equals == NULL)
    return wrong (place, error, "neither [section], key = value nor # comment");
  *equals = '\0';
  const char *key = g_strchomp (line), *text = g_strstrip (equals + 1);
  if (section == NULL)
    return wrong (place, error, "%s: stands before the first [section]", key);

  gssize i = find (settings->schema, section, key);
  if (i < 0)
    return wrong (place, error, "[%s] has no key «%s»", section, key);
  if (settings->values[i].given)
    return wrong (place, error, "[%s] %s is given twice", section, key);
  if (strstr (text, " #") != NULL || strstr (text, "\t#") != NULL)
    return wrong (place, error, "%s: a comment stands on a line of its own", key);
  settings->values[i].given = TRUE;
  return set (settings, i, text, place, error);
}

static gboolean
parse_line (UsherSettings *settings, char *line, char **section, const Place *place, GError **error)
{
  g_strstrip (line);
  if (line[0] == '\0' || line[0] == '#')
    return TRUE;
  return line[0] == '[' ? parse_section (settings, line, section, place, error)
                        : parse_entry (settings, line, *section, place, error);
}

static gboolean
fill_defaults (UsherSettings *settings, const char *name, GError **error)
{
  Place nowhere = { name, 0 };
  for (gsize i = 0; i < settings->n_values; i++)
    {
      const UsherSetting *setting = &settings->schema[i];
      if (settings->values[i].given)
        continue;
      if (setting->fallback == NULL)
        return wrong (&nowhere, error, "[%s] %s is missing: %s", setting->section, setting->key, setting->help);
      if (!set (settings, i, setting->fallback, &nowhere, error))
        return FALSE;
    }
  return TRUE;
}

UsherSettings *
usher_settings_parse (const UsherSetting *schema, const char *name, const char *text, gsize length, GError **error)
{
  Place place = { name, 0 };
  if (length > FILE_LIMIT || memchr (text, '\0', length) != NULL || !g_utf8_validate (text, length, NULL))
    {
      wrong (&place, error, length > FILE_LIMIT ? "is over %d bytes" : "is not plain UTF-8 text of at most %d bytes", FILE_LIMIT);
      return NULL;
    }

  g_autoptr (UsherSettings) settings = g_new0 (UsherSettings, 1);
  settings->schema = schema;
  while (schema[settings->n_values].section != NULL)
    settings->n_values++;
  settings->values = g_new0 (Value, settings->n_values);

  g_autofree char *copy = g_strndup (text, length);
  g_auto (GStrv) lines = g_strsplit (copy, "\n", -1);
  g_autofree char *section = NULL;
  for (gsize i = 0; lines[i] != NULL; i++)
    {
      place.line = i + 1;
      if (!parse_line (settings, lines[i], &section, &place, error))
        return NULL;
    }
  if (!fill_defaults (settings, name, error))
    return NULL;
  return g_steal_pointer (&settings);
}

UsherSettings *
usher_settings_load (const UsherSetting *schema, const char *path, GError **error)
{
  g_autofree char *text = NULL;
  gsize length = 0;
  g_autoptr (GError) local = NULL;
  if (!g_file_get_contents (path, &text, &length, &local))
    {
      gboolean missing = g_error_matches (local, G_FILE_ERROR, G_FILE_ERROR_NOENT);
      g_set_error (error, USHER_ERROR, missing ? USHER_ERROR_MISSING : USHER_ERROR_UNAVAILABLE, "%s", local->message);
      return NULL;
    }
  return usher_settings_parse (schema, path, text, length, error);
}

/* ---- reading ---- */

static const Value *
lookup (const UsherSettings *settings, const char *section, const char *key, int type)
{
  gssize i = find (settings->schema, section, key);
  if (i < 0 || (type >= 0 && (int) settings->schema[i].type != type))
    g_error ("the schema has no setting [%s] %s of that type", section, key);
  return &settings->values[i];
}

const char *
usher_settings_get_string (const UsherSettings *settings, const char *section, const char *key)
{
  return lookup (settings, section, key, -1)->text;
}

gint64
usher_settings_get_int (const UsherSettings *settings, const char *section, const char *key)
{
  return g_ascii_strtoll (lookup (settings, section, key, USHER_SETTING_INT)->text, NULL, 10);
}

gboolean
usher_settings_get_bool (const UsherSettings *settings, const char *section, const char *key)
{
  return g_str_equal (lookup (settings, section, key, USHER_SETTING_BOOL)->text, "yes");
}

const char *const *
usher_settings_get_list (const UsherSettings *settings, const char *section, const char *key)
{
  return (const char *const *) lookup (settings, section, key, USHER_SETTING_LIST)->list;
}

void
usher_settings_free (UsherSettings *settings)
{
  if (settings == NULL)
    return;
  for (gsize i = 0; i < settings->n_values; i++)
    {
      g_free (settings->values[i].text);
      g_strfreev (settings->values[i].list);
    }
  g_free (settings->values);
  g_free (settings);
}

/* ---- printing ---- */

static void
append_section (GString *text, const UsherSetting *schema, gsize i)
{
  if (i == 0 || !g_str_equal (schema[i].section, schema[i - 1].section))
    g_string_append_printf (text, "%s[%s]\n", i > 0 ? "\n" : "", schema[i].section);
}

char *
usher_settings_describe (const UsherSetting *schema)
{
  GString *text = g_string_new (NULL);
  for (gsize i = 0; schema[i].section != NULL; i++)
    {
      const UsherSetting *setting = &schema[i];
      append_section (text, schema, i);
      g_string_append_printf (text, "# %s (%s", setting->help, types[setting->type].name);
      if (setting->type == USHER_SETTING_INT)
        g_string_append_printf (text, " from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT, setting->min, setting->max);
      if (setting->type == USHER_SETTING_CHOICE)
        g_string_append_printf (text, " %s", setting->choices);
      g_string_append_printf (text, "%s)\n", setting->fallback == NULL ? "; must be given" : "");
      g_string_append_printf (text, "%s%s =%s%s\n", setting->fallback == NULL ? "" : "#", setting->key,
                              setting->fallback != NULL && setting->fallback[0] != '\0' ? " " : "",
                              setting->fallback != NULL ? setting->fallback : "");
    }
  return g_string_free (text, FALSE);
}

char *
usher_settings_print (const UsherSettings *settings)
{
  GString *text = g_string_new (NULL);
  for (gsize i = 0; i < settings->n_values; i++)
    {
      append_section (text, settings->schema, i);
      g_string_append_printf (text, "%s = %s\n", settings->schema[i].key,
                              settings->schema[i].secret ? "***" : settings->values[i].text);
    }
  return g_string_free (text, FALSE);
}

UsherSettings *
usher_settings_from_command_line (const UsherSetting *schema, const char *program, int argc, char **argv, int *out_exit)
{
  g_autofree char *path = NULL;
  gboolean check = FALSE, help = FALSE, version = FALSE;
  const GOptionEntry entries[] = {
    { "config", 'c', 0, G_OPTION_ARG_FILENAME, &path, "Read settings from FILE", "FILE" },
    { "check-config", 0, 0, G_OPTION_ARG_NONE, &check, "Check the settings, print them and exit", NULL },
    { "help-config", 0, 0, G_OPTION_ARG_NONE, &help, "Print every setting with its default and exit", NULL },
    { "version", 0, 0, G_OPTION_ARG_NONE, &version, "Print the version and exit", NULL },
    { 0 },
  };
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (UsherSettings) settings = NULL;

  *out_exit = 2;
  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, &error) || argc > 1)
    {
      fprintf (stderr, "%s: %s\n", program, error != NULL ? error->message : "takes options only");
      return NULL;
    }
  if (help || version)
    {
      g_autofree char *text = help ? usher_settings_describe (schema) : g_strdup_printf ("%s %s\n", program, PACKAGE_VERSION);
      fputs (text, stdout);
      *out_exit = 0;
      return NULL;
    }
  if (path == NULL)
    {
      fprintf (stderr, "%s: --config FILE is needed; --help-config prints one\n", program);
      return NULL;
    }
  settings = usher_settings_load (schema, path, &error);
  if (settings == NULL)
    {
      fprintf (stderr, "%s: %s\n", program, error->message);
      return NULL;
    }
  if (check)
    {
      g_autofree char *text = usher_settings_print (settings);
      fputs (text, stdout);
      *out_exit = 0;
      return NULL;
    }
  return g_steal_pointer (&settings);
}
