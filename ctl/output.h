/* Records on standard output: a table for people, JSON and YAML for programs, names for completion. */
#pragma once
#include <glib.h>
#include <jansson.h>

typedef enum { USHER_OUTPUT_TABLE, USHER_OUTPUT_JSON, USHER_OUTPUT_YAML, USHER_OUTPUT_NAME } UsherOutput;

gboolean usher_output_parse (const char *text, UsherOutput *out);

/* The singular name of a kind of record as people write it ("pools", "pool", "Pool" → "pool"); static. NULL: there is none. */
const char *usher_kind_find (const char *text);

/* NULL-terminated: every kind. */
const char *const *usher_kind_names (void);

/* The text of a list of records; owned by the caller. `header`: with the table's first line (it is left out
 * when a watch prints changes). JSON: one array, YAML: one document a record. Control characters are escaped in tables. */
char *usher_output_records (UsherOutput output, const char *kind, const json_t *items, gboolean header);

/* One value: JSON indented, else YAML. */
char *usher_output_value (UsherOutput output, const json_t *value);
