#include "ctl/yaml_write.h"
#include "ctl/yaml_read.h"
#include <string.h>
#include <yaml.h>

static int
append (void *data, unsigned char *bytes, size_t size)
{
  g_string_append_len (data, (const char *) bytes, (gssize) size);
  return 1;
}

static void
emit (yaml_emitter_t *emitter, yaml_event_t *event)
{
  if (!yaml_emitter_emit (emitter, event))
    g_error ("libyaml: %s", emitter->problem);
}

static void
emit_scalar (yaml_emitter_t *emitter, const char *text, gsize length, yaml_scalar_style_t style)
{
  yaml_event_t event;

  if (!yaml_scalar_event_initialize (&event, NULL, NULL, (const yaml_char_t *) text, (int) length, 1, 1, style))
    g_error ("libyaml: out of memory");
  emit (emitter, &event);
}

static void
emit_text (yaml_emitter_t *emitter, const char *text, gsize length)
{
  yaml_scalar_style_t style = usher_yaml_is_special (text)       ? YAML_SINGLE_QUOTED_SCALAR_STYLE
                              : memchr (text, '\n', length) != NULL ? YAML_DOUBLE_QUOTED_SCALAR_STYLE
                                                                    : YAML_ANY_SCALAR_STYLE;
  emit_scalar (emitter, text, length, style);
}

static void
emit_number (yaml_emitter_t *emitter, const json_t *value)
{
  g_autofree char *text = json_is_integer (value) ? g_strdup_printf ("%" JSON_INTEGER_FORMAT, json_integer_value (value))
                                                  : json_dumps (value, JSON_ENCODE_ANY);
  emit_scalar (emitter, text, strlen (text), YAML_PLAIN_SCALAR_STYLE);
}

static void emit_value (yaml_emitter_t *emitter, const json_t *value);

static void
emit_object (yaml_emitter_t *emitter, const json_t *value)
{
  yaml_event_t event;
  const char *key;
  json_t *member;

  yaml_mapping_start_event_initialize (&event, NULL, NULL, 1,
                                       json_object_size (value) > 0 ? YAML_BLOCK_MAPPING_STYLE : YAML_FLOW_MAPPING_STYLE);
  emit (emitter, &event);
  json_object_foreach ((json_t *) value, key, member) {
    emit_text (emitter, key, strlen (key));
    emit_value (emitter, member);
  }
  yaml_mapping_end_event_initialize (&event);
  emit (emitter, &event);
}

static void
emit_array (yaml_emitter_t *emitter, const json_t *value)
{
  yaml_event_t event;
  json_t *item;
  gsize i;

  yaml_sequence_start_event_initialize (
      &event, NULL, NULL, 1, json_array_size (value) > 0 ? YAML_BLOCK_SEQUENCE_STYLE : YAML_FLOW_SEQUENCE_STYLE);
  emit (emitter, &event);
  json_array_foreach (value, i, item)
    emit_value (emitter, item);
  yaml_sequence_end_event_initialize (&event);
  emit (emitter, &event);
}

static void
emit_value (yaml_emitter_t *emitter, const json_t *value)
{
  if (json_is_object (value))
    emit_object (emitter, value);
  else if (json_is_array (value))
    emit_array (emitter, value);
  else if (json_is_string (value))
    emit_text (emitter, json_string_value (value), json_string_length (value));
  else if (json_is_number (value))
    emit_number (emitter, value);
  else
    emit_scalar (emitter, json_is_true (value) ? "true" : json_is_false (value) ? "false" : "null",
                 json_is_false (value) ? 5 : 4, YAML_PLAIN_SCALAR_STYLE);
}

char *
usher_yaml_write (const json_t *value)
{
  GString *out = g_string_new (NULL);
  yaml_emitter_t emitter;
  yaml_event_t event;

  yaml_emitter_initialize (&emitter);
  yaml_emitter_set_output (&emitter, append, out);
  yaml_emitter_set_unicode (&emitter, 1);
  yaml_emitter_set_width (&emitter, -1);
  yaml_stream_start_event_initialize (&event, YAML_UTF8_ENCODING);
  emit (&emitter, &event);
  yaml_document_start_event_initialize (&event, NULL, NULL, NULL, 0);
  emit (&emitter, &event);
  emit_value (&emitter, value);
  yaml_document_end_event_initialize (&event, 1);
  emit (&emitter, &event);
  yaml_stream_end_event_initialize (&event);
  emit (&emitter, &event);
  yaml_emitter_delete (&emitter);
  return g_string_free (out, FALSE);
}
