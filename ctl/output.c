#include "ctl/output.h"
#include "common/json.h"
#include "ctl/progress.h"
#include "ctl/yaml_write.h"
#include <string.h>

#define COLUMNS 8

/* What a table shows: a title and the member's path; with '#' before it a number of bytes, shown as KiB, MiB … */
typedef struct {
  const char *title, *path;
} Column;

static const struct {
  const char *kind;
  Column columns[COLUMNS];
} tables[] = {
  { "template",
    { { "NAME", "name" },
      { "PUBLISHED", "spec.version" },
      { "VERSIONS", "status.versions" },
      { "DESCRIPTION", "spec.description" } } },
  { "template-version",
    { { "NAME", "name" },
      { "STATE", "status.state" },
      { "SIZE", "#status.size" },
      { "HOSTS", "status.hosts" },
      { "DESKTOPS", "status.desktops" },
      { "MADE", "created_at" },
      { "NOTE", "spec.note" } } },
  { "pool",
    { { "NAME", "name" },
      { "TEMPLATE", "spec.template" },
      { "CLONE", "status.clone" },
      { "MAXIMUM", "spec.maximum" },
      { "SPARE", "status.ready" },
      { "MAKING", "status.making" },
      { "ASSIGNED", "status.assigned" },
      { "NOTE", "status.reason" } } },
  { "entitlement", { { "NAME", "name" }, { "POOL", "spec.pool" }, { "GROUP", "spec.group" }, { "USER", "spec.user" } } },
  { "host",
    { { "NAME", "name" },
      { "MODE", "spec.mode" },
      { "STATE", "status.state" },
      { "SEEN", "status.last_seen" },
      { "CPUS", "status.cpus" },
      { "FREE MIB", "status.memory_free_mib" },
      { "DESKTOPS", "status.desktops" } } },
  { "desktop",
    { { "NAME", "name" },
      { "POOL", "spec.pool" },
      { "STATE", "status.state" },
      { "CLONE", "status.clone" },
      { "OWNER", "spec.owner" },
      { "HOST", "status.host" },
      { "REASON", "status.reason" },
      { "ID", "id" } } },
  { "session",
    { { "ID", "id" },
      { "USER", "spec.user" },
      { "DESKTOP", "spec.desktop_name" },
      { "STATE", "status.state" },
      { "SINCE", "status.since" },
      { "REASON", "status.reason" } } },
  { "audit",
    { { "AT", "created_at" },
      { "ACTOR", "spec.actor" },
      { "ACTION", "spec.action" },
      { "OBJECT", "spec.object" },
      { "OUTCOME", "spec.outcome" },
      { "MESSAGE", "spec.message" } } },
};

static const char *const names[] = { "template", "template-version", "pool", "entitlement", "host", "desktop", "session", "audit", NULL };

G_STATIC_ASSERT (G_N_ELEMENTS (tables) + 1 == G_N_ELEMENTS (names));

static const struct {
  const char *name;
  UsherOutput output;
} outputs[] = {
  { "table", USHER_OUTPUT_TABLE },
  { "json", USHER_OUTPUT_JSON },
  { "yaml", USHER_OUTPUT_YAML },
  { "name", USHER_OUTPUT_NAME },
};

gboolean
usher_output_parse (const char *text, UsherOutput *out)
{
  for (gsize i = 0; i < G_N_ELEMENTS (outputs); i++)
    if (strcmp (outputs[i].name, text) == 0) {
      *out = outputs[i].output;
      return TRUE;
    }
  return FALSE;
}

const char *const *
usher_kind_names (void)
{
  return names;
}

const char *
usher_kind_find (const char *text)
{
  for (gsize i = 0; names[i] != NULL; i++) {
    g_autofree char *plural = g_strconcat (names[i], "s", NULL);
    if (g_ascii_strcasecmp (text, names[i]) == 0 || g_ascii_strcasecmp (text, plural) == 0)
      return names[i];
  }
  return NULL;
}

static char *
dup_text (const json_t *value, gboolean bytes)
{
  GString *list;
  json_t *one;
  gsize i;

  if (json_is_string (value))
    return g_strdup (json_string_value (value));
  if (bytes && json_is_integer (value))
    return usher_progress_size ((guint64) MAX (json_integer_value (value), 0));
  if (!json_is_array (value))
    return usher_json_to_line (value);
  list = g_string_new (NULL);
  json_array_foreach (value, i, one) {
    g_autofree char *text = dup_text (one, FALSE);
    g_string_append_printf (list, "%s%s", i > 0 ? ", " : "", text);
  }
  return g_string_free (list, FALSE);
}

/* A cell's text: nothing that moves a terminal's cursor or breaks the line; owned by the caller. */
static char *
dup_cell (const json_t *record, const char *path)
{
  gboolean bytes = *path == '#';
  g_auto (GStrv) steps = g_strsplit (path + bytes, ".", -1);
  g_autofree char *text = NULL;
  const json_t *value = record;
  GString *cell;

  for (gsize i = 0; steps[i] != NULL; i++)
    value = json_object_get (value, steps[i]);
  if (value == NULL || json_is_null (value))
    return g_strdup ("-");
  text = dup_text (value, bytes);
  cell = g_string_new (NULL);
  for (const char *at = text; *at != '\0'; at = g_utf8_next_char (at)) {
    gunichar c = g_utf8_get_char (at);
    g_string_append_unichar (cell, g_unichar_isprint (c) ? c : g_unichar_isspace (c) ? ' ' : 0xFFFD);
  }
  if (cell->len == 0)
    g_string_append_c (cell, '-');
  return g_string_free (cell, FALSE);
}

static guint
column_count (const Column *columns)
{
  guint count = 0;
  while (count < COLUMNS && columns[count].title != NULL)
    count++;
  return count;
}

static guint
width_of (const char *text)
{
  return (guint) g_utf8_strlen (text, -1);
}

static void
append_row (GString *out, char **cells, const guint *widths, guint count)
{
  for (guint c = 0; c < count; c++) {
    g_string_append (out, cells[c]);
    for (guint i = width_of (cells[c]); c + 1 < count && i < widths[c] + 2; i++)
      g_string_append_c (out, ' ');
  }
  g_string_append_c (out, '\n');
}

static char *
table (const Column *columns, const json_t *items, gboolean header)
{
  guint count = column_count (columns), widths[COLUMNS] = { 0 };
  g_autoptr (GPtrArray) rows = g_ptr_array_new_with_free_func ((GDestroyNotify) g_strfreev);
  GString *out = g_string_new (NULL);
  json_t *record;
  gsize i;

  if (header) {
    char **titles = g_new0 (char *, count + 1);
    for (guint c = 0; c < count; c++)
      titles[c] = g_strdup (columns[c].title);
    g_ptr_array_add (rows, titles);
  }
  json_array_foreach (items, i, record) {
    char **cells = g_new0 (char *, count + 1);
    for (guint c = 0; c < count; c++)
      cells[c] = dup_cell (record, columns[c].path);
    g_ptr_array_add (rows, cells);
  }
  for (guint r = 0; r < rows->len; r++)
    for (guint c = 0; c < count; c++)
      widths[c] = MAX (widths[c], width_of (((char **) rows->pdata[r])[c]));
  for (guint r = 0; r < rows->len; r++)
    append_row (out, rows->pdata[r], widths, count);
  return g_string_free (out, FALSE);
}

static char *
name_lines (const json_t *items)
{
  GString *out = g_string_new (NULL);
  json_t *record;
  gsize i;

  json_array_foreach (items, i, record)
    g_string_append_printf (out, "%s\n", usher_json_string (record, "name"));
  return g_string_free (out, FALSE);
}

char *
usher_output_records (UsherOutput output, const char *kind, const json_t *items, gboolean header)
{
  GString *out;
  json_t *record;
  gsize i;

  if (output == USHER_OUTPUT_JSON)
    return usher_output_value (output, items);
  if (output == USHER_OUTPUT_NAME)
    return name_lines (items);
  for (i = 0; output == USHER_OUTPUT_TABLE && i < G_N_ELEMENTS (tables); i++)
    if (strcmp (tables[i].kind, kind) == 0)
      return table (tables[i].columns, items, header);
  out = g_string_new (NULL);
  json_array_foreach (items, i, record) {
    g_autofree char *text = usher_output_value (output, record);
    g_string_append (out, text);
  }
  return g_string_free (out, FALSE);
}

char *
usher_output_value (UsherOutput output, const json_t *value)
{
  char *text, *line;

  if (output != USHER_OUTPUT_JSON)
    return usher_yaml_write (value);
  text = json_dumps (value, JSON_INDENT (2) | JSON_ENCODE_ANY);
  line = g_strconcat (text, "\n", NULL);
  g_free (text);
  return line;
}
