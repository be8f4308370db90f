/* YAML → JSON documents, with limits, and the line of every member for error messages.
 *
 * YAML 1.2's core schema: plain null, true, false and numbers have their type, all else is text (so `yes` is
 * text). Refused, by file and line: aliases, anchors and tags, a key twice, keys that aren't text, numbers beyond 64
 * bits or with leading zeros (quote them), more than 1 MiB, 32 levels, 100,000 values, 1000 documents. */
#pragma once
#include <glib.h>
#include <jansson.h>

typedef struct {
  json_t *value;     /* owned */
  guint line;        /* where it begins, from 1 */
  GHashTable *lines; /* path ("spec.maximum", "items[2].name") → line as GUINT_TO_POINTER */
} UsherYamlDocument;

/* UsherYamlDocument's in order, empty documents left out; INVALID, TOO_LARGE. `name` stands for the file in
 * errors. Safe on untrusted text. */
GPtrArray *usher_yaml_read (const char *text, gsize length, const char *name, GError **error);

/* The line of the member that `message` speaks of, or of the nearest one around it when it is not there: the
 * longest path of the document that the message holds. The document's own line when it holds none. */
guint usher_yaml_document_find_line (const UsherYamlDocument *document, const char *message);

/* Whether plain `text` would be read as something else than text. */
gboolean usher_yaml_is_special (const char *text);
