/* Reading JSON (Jansson) with errors that name the path, e.g. «pool "office": spec.maximum: …».
 *
 * Own json_t with json_auto_t. Getters borrow from the object they read. */
#pragma once
#include <glib.h>
#include <jansson.h>
#include "common/id.h"

/* Parses one JSON value of at most `length` bytes; duplicate keys and trailing bytes are errors.
 * `what` names the source in the error («body», a path …). Returns a new reference or NULL with
 * USHER_ERROR_INVALID, line and column in the message. Depth is bounded by Jansson (2048). */
json_t *usher_json_parse (const char *text, gsize length, const char *what, GError **error);

/* As usher_json_parse() of a file of at most 16 MiB; MISSING when there is none. */
json_t *usher_json_read_file (const char *path, GError **error);

/* Writes `value` to `path` by a temporary file, fsync and rename, with permission bits `mode`. */
gboolean usher_json_write_file (const char *path, const json_t *value, int mode, GError **error);

/* One line of compact JSON, keys sorted; owned by the caller. */
char *usher_json_to_line (const json_t *value);

/* A cursor into a document that remembers its path for error messages. Cheap to copy; borrows all. */
typedef struct {
  const json_t *object; /* NULL when absent */
  const char *path;     /* e.g. "spec" */
} UsherJson;

/* Required members: absent, null or of another type is USHER_ERROR_INVALID naming `path.key`. */
gboolean usher_json_get_string (UsherJson at, const char *key, const char **out, GError **error);
gboolean usher_json_get_int (UsherJson at, const char *key, gint64 min, gint64 max, gint64 *out, GError **error);
gboolean usher_json_get_bool (UsherJson at, const char *key, gboolean *out, GError **error);
gboolean usher_json_get_object (UsherJson at, const char *key, const json_t **out, GError **error);
gboolean usher_json_get_array (UsherJson at, const char *key, const json_t **out, GError **error);

/* As usher_json_get_string(); *out is a copy. */
gboolean usher_json_dup_string (UsherJson at, const char *key, char **out, GError **error);
/* A UUID in canonical form. */
gboolean usher_json_get_id (UsherJson at, const char *key, char out[USHER_ID_SIZE], GError **error);
/* One of `names` (entries may be NULL: not taken); *out is its index. */
gboolean usher_json_get_name (UsherJson at, const char *key, const char *const *names, gsize n_names, int *out, GError **error);

/* Optional members: absent or null leaves *out untouched (so set the default first). */
gboolean usher_json_find_string (UsherJson at, const char *key, const char **out, GError **error);
gboolean usher_json_find_int (UsherJson at, const char *key, gint64 min, gint64 max, gint64 *out, GError **error);
gboolean usher_json_find_bool (UsherJson at, const char *key, gboolean *out, GError **error);

/* Refuses any member of `at` not in the NULL-terminated list, naming it. */
gboolean usher_json_only (UsherJson at, const char *const *known, GError **error);

/* From JSON we made ourselves, where absence is a defect or harmless: "" / 0 / NULL when not there. */
const char *usher_json_string (const json_t *object, const char *key);
gint64 usher_json_int (const json_t *object, const char *key);
