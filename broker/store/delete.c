#include "broker/store/audit_add.h"
#include "broker/store/desktop_move.h"
#include "broker/store/records.h"
#include "broker/store/spec.h"
#include "broker/store/sql.h"
#include "common/fault.h"

#define FIND(kind)                                                                                                     \
  "SELECT id, name FROM " kind " WHERE name = $1 OR id::text = $1 ORDER BY name <> $1 LIMIT 1 FOR UPDATE"

/* How each kind is deleted: found and locked by $1 (name or id); what is in the way by $1 (id); deleted by $1 (id). */
static const struct {
  UsherSql find, users, drop;
} ways[USHER_KINDS] = {
  [USHER_KIND_TEMPLATE]
  = { { "find-template", FIND ("template") },
      { "users-template", "SELECT name FROM pool WHERE template = $1::uuid ORDER BY name LIMIT 1" },
      { "drop-template", "DELETE FROM template WHERE id = $1::uuid" } },
  [USHER_KIND_POOL] = { { "find-pool", FIND ("pool") },
                        { "users-pool", "SELECT name FROM desktop WHERE pool = $1::uuid LIMIT 1" },
                        { "drop-pool", "DELETE FROM pool WHERE id = $1::uuid" } },
  [USHER_KIND_ENTITLEMENT] = { { "find-entitlement", FIND ("entitlement") },
                               { NULL, NULL },
                               { "drop-entitlement", "DELETE FROM entitlement WHERE id = $1::uuid" } },
  [USHER_KIND_HOST] = { { "find-host", FIND ("host") },
                        { "users-host", "SELECT name FROM desktop WHERE host = $1::uuid ORDER BY name LIMIT 1" },
                        { "drop-host", "DELETE FROM host WHERE id = $1::uuid" } },
  [USHER_KIND_DESKTOP] = { { "find-desktop", FIND ("desktop") }, { NULL, NULL }, { NULL, NULL } },
};
static const UsherSql mark_pool = { "mark-pool-deleting", "UPDATE pool SET deleting = true WHERE id = $1::uuid" };

typedef struct {
  const UsherActor *actor;
  UsherKind kind;
  const char *name_or_id;
  gboolean pending; /* the outcome */
} Delete;

static gboolean
drop (UsherStore *store, Delete *delete, const char *id, const char *name, GError **error)
{
  g_autoptr (UsherRows) users = NULL;
  if (delete->kind == USHER_KIND_DESKTOP)
    {
      delete->pending = TRUE;
      return usher_desktop_drain (store, id, "deleted", "an administrator deleted it", error);
    }
  if (ways[delete->kind].users.text != NULL)
    {
      users = usher_sql (store, &ways[delete->kind].users, error, id);
      if (users == NULL)
        return FALSE;
    }
  if (users == NULL || PQntuples (users) == 0)
    return usher_sql_do (store, &ways[delete->kind].drop, NULL, error, id);
  if (delete->kind == USHER_KIND_POOL)
    {
      delete->pending = TRUE;
      return usher_sql_do (store, &mark_pool, NULL, error, id);
    }
  g_autofree char *why = g_strdup_printf (delete->kind == USHER_KIND_HOST ? "desktop \"%s\" is on it: drain it first"
                                                                          : "pool \"%s\" uses it",
                                          usher_cell_text (users, 0, 0));
  g_set_error (error, USHER_ERROR, USHER_ERROR_CONFLICT, "%s \"%s\": %s", usher_kind_name (delete->kind), name, why);
  return FALSE;
}

static gboolean
delete_in_transaction (UsherStore *store, gpointer data, GError **error)
{
  Delete *delete = data;
  g_autoptr (UsherRows) found = usher_sql (store, &ways[delete->kind].find, error, delete->name_or_id);
  delete->pending = FALSE;
  if (found == NULL)
    return FALSE;
  if (PQntuples (found) == 0)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_MISSING, "there is no %s \"%s\"", usher_kind_name (delete->kind),
                   delete->name_or_id);
      return FALSE;
    }
  const char *id = usher_cell_text (found, 0, 0), *name = usher_cell_text (found, 0, 1);
  UsherAuditLine line
      = { .action = "delete", .outcome = "ok", .kind = usher_kind_name (delete->kind), .id = id, .object = name };
  if (!drop (store, delete, id, name, error))
    return FALSE;
  USHER_FAULT_POINT ("store.delete");
  return usher_audit_add (store, delete->actor, &line, error);
}

gboolean
usher_store_delete (UsherStore *store, const UsherActor *actor, UsherKind kind, const char *name_or_id,
                    gboolean *out_pending, GError **error)
{
  Delete delete = { .actor = actor, .kind = kind, .name_or_id = name_or_id };
  GError *local = NULL;
  if (!usher_spec_is_deleted (kind))
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_REFUSED, "records of the kind %s are not deleted",
                   usher_kind_name (kind));
      return FALSE;
    }
  if (!usher_store_transact (store, delete_in_transaction, &delete, &local))
    {
      UsherAuditLine line = { .action = "delete", .kind = usher_kind_name (kind), .object = name_or_id };
      usher_audit_refusal (store, actor, &line, local);
      g_propagate_error (error, local);
      return FALSE;
    }
  *out_pending = delete.pending;
  return TRUE;
}
