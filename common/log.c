#include "common/log.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const level_names[] = {
  [USHER_LOG_ERROR] = "error", [USHER_LOG_WARNING] = "warning", [USHER_LOG_NOTICE] = "notice",
  [USHER_LOG_INFO] = "info",   [USHER_LOG_DEBUG] = "debug",
};

static const char *log_program = "usher";
static UsherLogLevel log_threshold = USHER_LOG_INFO;
static gboolean log_as_text = TRUE;

static const struct {
  const char *name;
  gsize offset;
} context_fields[] = {
  { "request", G_STRUCT_OFFSET (UsherLogContext, request) }, { "session", G_STRUCT_OFFSET (UsherLogContext, session) },
  { "desktop", G_STRUCT_OFFSET (UsherLogContext, desktop) }, { "host", G_STRUCT_OFFSET (UsherLogContext, host) },
  { "user", G_STRUCT_OFFSET (UsherLogContext, user) },       { "pool", G_STRUCT_OFFSET (UsherLogContext, pool) },
  { "address", G_STRUCT_OFFSET (UsherLogContext, address) },
};

static const char *
context_value (const UsherLogContext *context, gsize field)
{
  return context != NULL ? G_STRUCT_MEMBER (const char *, context, context_fields[field].offset) : NULL;
}

/* Any text as valid UTF-8, so that a stranger's bytes can't break the log. */
static json_t *
safe_string (const char *text)
{
  g_autofree char *valid = g_utf8_make_valid (text, -1);
  return json_string (valid);
}

static char *
format_json (UsherLogLevel level, const UsherLogContext *context, const char *time, const char *message)
{
  json_auto_t *line = json_object ();
  json_object_set_new (line, "time", json_string (time));
  json_object_set_new (line, "level", json_string (level_names[level]));
  json_object_set_new (line, "program", json_string (log_program));
  json_object_set_new (line, "message", safe_string (message));
  for (gsize i = 0; i < G_N_ELEMENTS (context_fields); i++)
    if (context_value (context, i) != NULL)
      json_object_set_new (line, context_fields[i].name, safe_string (context_value (context, i)));
  char *text = json_dumps (line, JSON_COMPACT | JSON_PRESERVE_ORDER);
  char *with_newline = g_strconcat (text, "\n", NULL);
  g_free (text);
  return with_newline;
}

static char *
format_text (UsherLogLevel level, const UsherLogContext *context, const char *time, const char *message)
{
  GString *line = g_string_new (NULL);
  g_autofree char *escaped = g_strescape (message, NULL);
  gboolean printable = g_utf8_validate (message, -1, NULL) && strpbrk (message, "\n\r\x1b") == NULL;
  g_string_printf (line, "%s %-7s %s: %s", time, level_names[level], log_program, printable ? message : escaped);
  for (gsize i = 0; i < G_N_ELEMENTS (context_fields); i++)
    if (context_value (context, i) != NULL)
      {
        g_autofree char *value = g_strescape (context_value (context, i), NULL);
        g_string_append_printf (line, " %s=%s", context_fields[i].name, value);
      }
  g_string_append_c (line, '\n');
  return g_string_free (line, FALSE);
}

static void
emit (UsherLogLevel level, const UsherLogContext *context, const char *message)
{
  g_autoptr (GDateTime) now = g_date_time_new_now_utc ();
  g_autofree char *seconds = g_date_time_format (now, "%Y-%m-%dT%H:%M:%S");
  g_autofree char *time = g_strdup_printf ("%s.%03dZ", seconds, g_date_time_get_microsecond (now) / 1000);
  g_autofree char *line = (log_as_text ? format_text : format_json) (level, context, time, message);
  if (write (STDERR_FILENO, line, strlen (line)) < 0)
    return; /* nowhere left to say it */
}

void
usher_log (UsherLogLevel level, const UsherLogContext *context, const char *format, ...)
{
  if (level > log_threshold)
    return;
  va_list arguments;
  va_start (arguments, format);
  g_autofree char *message = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  emit (level, context, message);
}

static UsherLogLevel
level_of_glib (GLogLevelFlags flags)
{
  if (flags & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL))
    return USHER_LOG_ERROR;
  if (flags & G_LOG_LEVEL_WARNING)
    return USHER_LOG_WARNING;
  return flags & (G_LOG_LEVEL_MESSAGE | G_LOG_LEVEL_INFO) ? USHER_LOG_INFO : USHER_LOG_DEBUG;
}

static GLogWriterOutput
write_glib_message (GLogLevelFlags flags, const GLogField *fields, gsize n_fields, gpointer user_data)
{
  UsherLogLevel level = level_of_glib (flags);
  if (level > log_threshold)
    return G_LOG_WRITER_HANDLED;
  for (gsize i = 0; i < n_fields; i++)
    if (g_str_equal (fields[i].key, "MESSAGE"))
      emit (level, NULL, fields[i].value);
  return G_LOG_WRITER_HANDLED;
}

void
usher_log_init (const char *program, UsherLogLevel level)
{
  static gsize once;
  log_program = program;
  log_threshold = level;
  log_as_text = isatty (STDERR_FILENO);
  if (g_once_init_enter (&once))
    {
      g_log_set_writer_func (write_glib_message, NULL, NULL);
      g_once_init_leave (&once, 1);
    }
}

gboolean
usher_log_level_parse (const char *text, UsherLogLevel *out)
{
  for (gsize i = 0; i < G_N_ELEMENTS (level_names); i++)
    if (g_strcmp0 (text, level_names[i]) == 0)
      {
        *out = i;
        return TRUE;
      }
  return FALSE;
}
