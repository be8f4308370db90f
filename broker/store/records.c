#include "broker/store/records.h"

#include "broker/store/sql.h"

/* One record as a document, of a row of a record_KIND view. */
#define DOCUMENT(kind)                                                                                                 \
  "jsonb_build_object('kind', '" kind                                                                                  \
  "', 'id', id, 'name', name, 'resource_version', resource_version, 'created_at', "                                    \
  "usher_time(created_at), 'spec', spec, 'status', status)"
/* Kinds are spelt with '-', their tables and views with '_'. */
#define LIST(kind, table)                                                                                                     \
  "SELECT usher_horizon(), coalesce(jsonb_agg(" DOCUMENT (kind) " ORDER BY name), '[]') FROM record_" table
#define CHANGED(kind, table)                                                                                                  \
  "SELECT usher_horizon(), (SELECT forgotten > $1 FROM deployment), "                                                  \
  "(SELECT coalesce(jsonb_agg(" DOCUMENT (                                                                             \
      kind) " ORDER BY resource_version), '[]') FROM record_" table " WHERE id IN (SELECT id FROM " table               \
            " WHERE resource_version > $1)), "                                                                         \
            "(SELECT coalesce(jsonb_agg(id), '[]') FROM deleted WHERE kind = '" kind "' AND resource_version > $1)"
#define GET(kind, table)                                                                                                      \
  "SELECT " DOCUMENT (kind) " FROM record_" table " WHERE name = $1 OR id::text = $1 ORDER BY name <> $1 LIMIT 1"
#define STATEMENTS_OF(kind, table)                                                                                     \
  {                                                                                                                    \
    { "list-" kind, LIST (kind, table) }, { "changes-" kind, CHANGED (kind, table) }, { "get-" kind, GET (kind, table) } \
  }
#define STATEMENTS(kind) STATEMENTS_OF (kind, kind)

static const struct {
  UsherSql list, changes, get;
} statements[USHER_KINDS] = {
  [USHER_KIND_TEMPLATE] = STATEMENTS ("template"),
  [USHER_KIND_TEMPLATE_VERSION] = STATEMENTS_OF ("template-version", "template_version"),
  [USHER_KIND_POOL] = STATEMENTS ("pool"),
  [USHER_KIND_ENTITLEMENT] = STATEMENTS ("entitlement"),
  [USHER_KIND_HOST] = STATEMENTS ("host"),
  [USHER_KIND_DESKTOP] = STATEMENTS ("desktop"),
  [USHER_KIND_SESSION] = STATEMENTS ("session"),
  [USHER_KIND_AUDIT] = STATEMENTS ("audit"),
};

static const UsherSql list_audit = {
  "list-audit-page",
  "SELECT usher_horizon(), coalesce(jsonb_agg(" DOCUMENT (
      "audit") " ORDER BY seq DESC), '[]') FROM "
               "(SELECT * FROM record_audit WHERE $2::bigint = 0 OR seq < $2::bigint ORDER BY seq DESC LIMIT "
               "$1::bigint) page",
};

#define AUDIT_LIMIT 100
#define AUDIT_LIMIT_MAX 1000

static UsherRows *
list_rows (UsherStore *store, UsherKind kind, guint limit, gint64 before, GError **error)
{
  if (kind != USHER_KIND_AUDIT)
    return usher_sql (store, &statements[kind].list, error);
  limit = limit == 0 ? AUDIT_LIMIT : MIN (limit, AUDIT_LIMIT_MAX);
  return usher_sql (store, &list_audit, error, usher_number (limit).text, usher_number (before).text);
}

json_t *
usher_store_list (UsherStore *store, UsherKind kind, guint limit, gint64 before, GError **error)
{
  g_autoptr (UsherRows) rows = list_rows (store, kind, limit, before, error);
  if (rows == NULL)
    return NULL;
  return json_pack ("{s:I, s:o}", "resource_version", (json_int_t) usher_cell_int (rows, 0, 0), "items",
                    usher_cell_json (rows, 0, 1));
}

gboolean
usher_store_changes (UsherStore *store, UsherKind kind, gint64 after, json_t **out, GError **error)
{
  g_autoptr (UsherRows) rows = usher_sql (store, &statements[kind].changes, error, usher_number (after).text);
  if (rows == NULL)
    return FALSE;
  if (usher_cell_bool (rows, 0, 1))
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_CONFLICT,
                   "what was deleted after version %" G_GINT64_FORMAT " is no longer known: list again", after);
      return FALSE;
    }
  json_auto_t *items = usher_cell_json (rows, 0, 2), *deleted = usher_cell_json (rows, 0, 3);
  if (json_array_size (items) > 0 || json_array_size (deleted) > 0)
    *out = json_pack ("{s:I, s:O, s:O}", "resource_version", (json_int_t) usher_cell_int (rows, 0, 0), "items", items,
                      "deleted", deleted);
  return TRUE;
}

json_t *
usher_store_get (UsherStore *store, UsherKind kind, const char *name_or_id, GError **error)
{
  g_autoptr (UsherRows) rows = usher_sql (store, &statements[kind].get, error, name_or_id);
  if (rows == NULL)
    return NULL;
  if (PQntuples (rows) > 0)
    return usher_cell_json (rows, 0, 0);
  g_set_error (error, USHER_ERROR, USHER_ERROR_MISSING, "there is no %s \"%s\"", usher_kind_name (kind), name_or_id);
  return NULL;
}

/* ---- why ---- */

static const UsherSql find_kind = {
  "why-kind",
  "SELECT 'template', '[]'::jsonb FROM template WHERE id = $1::uuid "
  "UNION ALL SELECT 'template-version', history FROM template_version WHERE id = $1::uuid "
  "UNION ALL SELECT 'pool', history FROM pool WHERE id = $1::uuid "
  "UNION ALL SELECT 'entitlement', '[]' FROM entitlement WHERE id = $1::uuid "
  "UNION ALL SELECT 'host', '[]' FROM host WHERE id = $1::uuid "
  "UNION ALL SELECT 'desktop', history FROM desktop WHERE id = $1::uuid "
  "UNION ALL SELECT 'session', history FROM session WHERE id = $1::uuid "
  "UNION ALL SELECT 'audit', '[]' FROM audit WHERE id = $1::uuid",
};
static const UsherSql find_audit = {
  "why-audit",
  "SELECT coalesce(jsonb_agg(" DOCUMENT (
      "audit") " ORDER BY seq DESC), '[]') FROM "
               "(SELECT a.* FROM record_audit a JOIN (SELECT seq FROM audit WHERE object_id = $1 ORDER BY seq DESC "
               "LIMIT 50) s USING (seq)) lines",
};

json_t *
usher_store_why (UsherStore *store, const char *id, GError **error)
{
  g_autoptr (UsherRows) found = NULL, audit = NULL;
  json_t *record;
  UsherKind kind;

  if (!usher_id_is_valid (id))
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "\"%s\" is not an id", id);
      return NULL;
    }
  found = usher_sql (store, &find_kind, error, id);
  if (found == NULL)
    return NULL;
  if (PQntuples (found) == 0 || !usher_kind_parse (usher_cell_text (found, 0, 0), &kind))
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_MISSING, "there is no record with the id %s", id);
      return NULL;
    }
  record = usher_store_get (store, kind, id, error);
  audit = record != NULL ? usher_sql (store, &find_audit, error, id) : NULL;
  if (audit == NULL)
    {
      json_decref (record);
      return NULL;
    }
  return json_pack ("{s:o, s:o, s:o}", "record", record, "explanation", usher_cell_json (found, 0, 1), "audit",
                    usher_cell_json (audit, 0, 0));
}
