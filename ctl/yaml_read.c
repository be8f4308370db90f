#include "ctl/yaml_read.h"
#include "common/error.h"
#include <errno.h>
#include <string.h>
#include <yaml.h>

#define SIZE_LIMIT (1024 * 1024)
#define DEPTH_LIMIT 32
#define VALUE_LIMIT 100000
#define DOCUMENT_LIMIT 1000

typedef struct {
  yaml_parser_t parser;
  const char *name;
  guint depth, values;
  GHashTable *lines; /* the document's being read */
} Reader;

typedef yaml_event_t Event;
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Event, yaml_event_delete)

static gboolean
refuse (const Reader *reader, yaml_mark_t at, GError **error, const char *format, ...) G_GNUC_PRINTF (4, 5);

static gboolean
refuse (const Reader *reader, yaml_mark_t at, GError **error, const char *format, ...)
{
  g_autofree char *message = NULL;
  va_list arguments;

  va_start (arguments, format);
  message = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "%s:%zu: %s", reader->name, at.line + 1, message);
  return FALSE;
}

static gboolean
next (Reader *reader, Event *event, GError **error)
{
  if (yaml_parser_parse (&reader->parser, event))
    return TRUE;
  return refuse (reader, reader->parser.problem_mark, error, "not YAML: %s%s%s",
                 reader->parser.problem != NULL ? reader->parser.problem : "broken",
                 reader->parser.context != NULL ? ", " : "", reader->parser.context != NULL ? reader->parser.context : "");
}

/* --- scalars ---------------------------------------------------------------------------------------- */

typedef enum { KIND_TEXT, KIND_NULL, KIND_TRUE, KIND_FALSE, KIND_INTEGER, KIND_REAL, KIND_ZEROS } Kind;

static const struct {
  const char *text;
  Kind kind;
} words[] = {
  { "", KIND_NULL },      { "~", KIND_NULL },      { "null", KIND_NULL },   { "Null", KIND_NULL },   { "NULL", KIND_NULL },
  { "true", KIND_TRUE },  { "True", KIND_TRUE },   { "TRUE", KIND_TRUE },   { "false", KIND_FALSE }, { "False", KIND_FALSE },
  { "FALSE", KIND_FALSE },
};

/* [-+]?[0-9]+ or with a fraction or an exponent (YAML 1.2.2, 10.3.2), no infinities: JSON has none. */
static Kind
number_kind (const char *text)
{
  const char *digits = text + (*text == '-' || *text == '+');
  const char *at = digits + strspn (digits, "0123456789");
  gboolean real = FALSE;

  if (*at == '.') {
    real = TRUE;
    at++;
    gsize fraction = strspn (at, "0123456789");
    if (at == digits + 1 && fraction == 0)
      return KIND_TEXT;
    at += fraction;
  }
  if (at == digits)
    return KIND_TEXT;
  if (*at == 'e' || *at == 'E') {
    real = TRUE;
    at += 1 + (at[1] == '-' || at[1] == '+');
    if (!g_ascii_isdigit (*at))
      return KIND_TEXT;
    at += strspn (at, "0123456789");
  }
  if (*at != '\0')
    return KIND_TEXT;
  if (digits[0] == '0' && g_ascii_isdigit (digits[1]))
    return KIND_ZEROS;
  return real ? KIND_REAL : KIND_INTEGER;
}

static Kind
plain_kind (const char *text)
{
  for (gsize i = 0; i < G_N_ELEMENTS (words); i++)
    if (strcmp (words[i].text, text) == 0)
      return words[i].kind;
  return number_kind (text);
}

gboolean
usher_yaml_is_special (const char *text)
{
  return plain_kind (text) != KIND_TEXT;
}

static json_t *
read_integer (const Reader *reader, const Event *event, const char *text, GError **error)
{
  gint64 number;

  if (g_ascii_string_to_signed (text + (*text == '+'), 10, G_MININT64, G_MAXINT64, &number, NULL))
    return json_integer (number);
  refuse (reader, event->start_mark, error, "%s is beyond 64 bits", text);
  return NULL;
}

static json_t *
read_real (const Reader *reader, const Event *event, const char *text, GError **error)
{
  json_t *value = json_real (g_ascii_strtod (text, NULL)); /* NULL for an infinity */

  if (value == NULL)
    refuse (reader, event->start_mark, error, "%s is too large", text);
  return value;
}

static json_t *
read_scalar (const Reader *reader, const Event *event, GError **error)
{
  const char *text = (const char *) event->data.scalar.value;
  gsize length = event->data.scalar.length;
  Kind kind = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE ? plain_kind (text) : KIND_TEXT;
  json_t *value;

  switch (kind) {
  case KIND_NULL:
    return json_null ();
  case KIND_TRUE:
    return json_true ();
  case KIND_FALSE:
    return json_false ();
  case KIND_INTEGER:
    return read_integer (reader, event, text, error);
  case KIND_REAL:
    return read_real (reader, event, text, error);
  case KIND_ZEROS:
    refuse (reader, event->start_mark, error, "%s begins with a zero: write it without, or in quotes as text", text);
    return NULL;
  case KIND_TEXT:
    break;
  }
  value = memchr (text, '\0', length) == NULL ? json_stringn (text, length) : NULL;
  if (value == NULL)
    refuse (reader, event->start_mark, error, "text with a NUL or outside UTF-8");
  return value;
}

/* --- structure -------------------------------------------------------------------------------------- */

static json_t *read_value (Reader *reader, const Event *event, const char *path, GError **error);

static gboolean
is_plain_node (const Reader *reader, const Event *event, GError **error)
{
  const yaml_char_t *anchor = NULL, *tag = NULL;

  if (event->type == YAML_ALIAS_EVENT)
    return refuse (reader, event->start_mark, error, "an alias (*%s): write the value out", event->data.alias.anchor);
  if (event->type == YAML_SCALAR_EVENT) {
    anchor = event->data.scalar.anchor;
    tag = event->data.scalar.tag;
  } else if (event->type == YAML_SEQUENCE_START_EVENT) {
    anchor = event->data.sequence_start.anchor;
    tag = event->data.sequence_start.tag;
  } else if (event->type == YAML_MAPPING_START_EVENT) {
    anchor = event->data.mapping_start.anchor;
    tag = event->data.mapping_start.tag;
  }
  if (anchor != NULL)
    return refuse (reader, event->start_mark, error, "an anchor (&%s): write the value out", anchor);
  if (tag != NULL)
    return refuse (reader, event->start_mark, error, "a tag (%s): not needed here", tag);
  return TRUE;
}

/* Reads the member behind `key_event` into `object`. */
static gboolean
read_member (Reader *reader, const Event *key_event, json_t *object, const char *path, GError **error)
{
  g_auto (Event) event = { 0 };
  g_autofree char *member = NULL;
  const char *key;
  json_t *value;

  if (!is_plain_node (reader, key_event, error))
    return FALSE;
  if (key_event->type != YAML_SCALAR_EVENT)
    return refuse (reader, key_event->start_mark, error, "a key that is not text");
  key = (const char *) key_event->data.scalar.value;
  if (key_event->data.scalar.length == 0 || key_event->data.scalar.length > 256 ||
      memchr (key, '\0', key_event->data.scalar.length) != NULL)
    return refuse (reader, key_event->start_mark, error, "a key that is empty, too long or holds a NUL");
  if (json_object_get (object, key) != NULL)
    return refuse (reader, key_event->start_mark, error, "%s%s%s is here twice", path, *path != '\0' ? "." : "", key);
  member = g_strdup_printf ("%s%s%s", path, *path != '\0' ? "." : "", key);
  g_hash_table_insert (reader->lines, g_strdup (member), GUINT_TO_POINTER (key_event->start_mark.line + 1));
  if (!next (reader, &event, error))
    return FALSE;
  value = read_value (reader, &event, member, error);
  if (value == NULL)
    return FALSE;
  if (json_object_set_new (object, key, value) == 0)
    return TRUE;
  return refuse (reader, key_event->start_mark, error, "a key outside UTF-8");
}

static json_t *
read_mapping (Reader *reader, const char *path, GError **error)
{
  json_t *object = json_object ();

  while (TRUE) {
    g_auto (Event) key = { 0 };
    gboolean good = next (reader, &key, error);
    if (good && key.type == YAML_MAPPING_END_EVENT)
      return object;
    if (!good || !read_member (reader, &key, object, path, error)) {
      json_decref (object);
      return NULL;
    }
  }
}

static json_t *
read_sequence (Reader *reader, const char *path, GError **error)
{
  json_t *array = json_array ();

  while (TRUE) {
    g_auto (Event) event = { 0 };
    g_autofree char *item = g_strdup_printf ("%s[%zu]", path, json_array_size (array));
    gboolean good = next (reader, &event, error);
    json_t *value;
    if (good && event.type == YAML_SEQUENCE_END_EVENT)
      return array;
    value = good ? read_value (reader, &event, item, error) : NULL;
    if (value == NULL) {
      json_decref (array);
      return NULL;
    }
    json_array_append_new (array, value);
  }
}

static json_t *
read_value (Reader *reader, const Event *event, const char *path, GError **error)
{
  json_t *value;

  if (!is_plain_node (reader, event, error))
    return NULL;
  if (++reader->values > VALUE_LIMIT || reader->depth >= DEPTH_LIMIT) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_TOO_LARGE, "%s:%zu: over %d values or %d levels", reader->name,
                 event->start_mark.line + 1, VALUE_LIMIT, DEPTH_LIMIT);
    return NULL;
  }
  if (event->type == YAML_SCALAR_EVENT)
    return read_scalar (reader, event, error);
  reader->depth++;
  value = event->type == YAML_MAPPING_START_EVENT ? read_mapping (reader, path, error)
                                                  : read_sequence (reader, path, error);
  reader->depth--;
  return value;
}

/* --- documents -------------------------------------------------------------------------------------- */

static void
free_document (gpointer data)
{
  UsherYamlDocument *document = data;

  json_decref (document->value);
  g_hash_table_unref (document->lines);
  g_free (document);
}

static gboolean
read_document (Reader *reader, GPtrArray *documents, GError **error)
{
  g_autoptr (GHashTable) lines = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_auto (Event) event = { 0 };
  UsherYamlDocument *document;
  json_t *value;

  reader->lines = lines;
  if (!next (reader, &event, error))
    return FALSE;
  value = read_value (reader, &event, "", error);
  if (value == NULL)
    return FALSE;
  if (json_is_null (value)) {
    json_decref (value);
    return TRUE;
  }
  document = g_new0 (UsherYamlDocument, 1);
  document->value = value;
  document->line = (guint) event.start_mark.line + 1;
  document->lines = g_steal_pointer (&lines);
  g_ptr_array_add (documents, document);
  return documents->len <= DOCUMENT_LIMIT ||
         refuse (reader, event.start_mark, error, "over %d documents", DOCUMENT_LIMIT);
}

static gboolean
read_stream (Reader *reader, GPtrArray *documents, GError **error)
{
  while (TRUE) {
    g_auto (Event) event = { 0 };
    if (!next (reader, &event, error))
      return FALSE;
    if (event.type == YAML_STREAM_END_EVENT)
      return TRUE;
    if (event.type == YAML_DOCUMENT_START_EVENT && !read_document (reader, documents, error))
      return FALSE;
  }
}

GPtrArray *
usher_yaml_read (const char *text, gsize length, const char *name, GError **error)
{
  g_autoptr (GPtrArray) documents = g_ptr_array_new_with_free_func (free_document);
  Reader reader = { .name = name };
  gboolean good;

  if (length > SIZE_LIMIT) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_TOO_LARGE, "%s: over %d bytes", name, SIZE_LIMIT);
    return NULL;
  }
  if (!yaml_parser_initialize (&reader.parser))
    g_error ("libyaml: out of memory");
  yaml_parser_set_encoding (&reader.parser, YAML_UTF8_ENCODING);
  yaml_parser_set_input_string (&reader.parser, (const unsigned char *) text, length);
  good = read_stream (&reader, documents, error);
  yaml_parser_delete (&reader.parser);
  return good ? g_steal_pointer (&documents) : NULL;
}

static gboolean
is_word_of (const char *path, const char *message)
{
  gsize length = strlen (path);

  for (const char *at = strstr (message, path); at != NULL; at = strstr (at + 1, path)) {
    char before = at == message ? ' ' : at[-1], after = at[length];
    if (!g_ascii_isalnum (before) && strchr ("._-[]", before) == NULL && !g_ascii_isalnum (after) && after != '_' &&
        after != '-')
      return TRUE;
  }
  return FALSE;
}

guint
usher_yaml_document_find_line (const UsherYamlDocument *document, const char *message)
{
  GHashTableIter iter;
  gpointer path, line;
  gsize longest = 0;
  guint result = document->line;

  g_hash_table_iter_init (&iter, document->lines);
  while (g_hash_table_iter_next (&iter, &path, &line)) {
    gsize length = strlen (path);
    if (length > longest && is_word_of (path, message)) {
      longest = length;
      result = GPOINTER_TO_UINT (line);
    }
  }
  return result;
}
