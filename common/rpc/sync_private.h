/* Between the files of the sync's JSON. */
#pragma once
#include "common/json.h"
#include "common/rpc/sync.h"

/* Reads one element, whose path is `path`, and adds it to `into` (also when it then fails: the array frees it). */
typedef gboolean (*UsherSyncReadOne) (const json_t *json, const char *path, GPtrArray *into, GError **error);

/* Reads the array `key` with `read_one`. */
gboolean usher_sync_read_list (UsherJson at, const char *key, UsherSyncReadOne read_one, GPtrArray *into, GError **error);

json_t *usher_sync_versions_to_json (const GPtrArray *versions);
json_t *usher_sync_parent_keys_to_json (const GPtrArray *keys);
gboolean usher_sync_read_parent (const json_t *json, const char *path, GPtrArray *into, GError **error);
gboolean usher_sync_read_fetch (const json_t *json, const char *path, GPtrArray *into, GError **error);
gboolean usher_sync_read_version (const json_t *json, const char *path, GPtrArray *into, GError **error);
gboolean usher_sync_read_parent_key (const json_t *json, const char *path, GPtrArray *into, GError **error);
