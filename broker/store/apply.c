#include <string.h>

#include "broker/store/audit_add.h"
#include "broker/store/desktop_move.h"
#include "broker/store/records.h"
#include "broker/store/spec.h"
#include "broker/store/sql.h"
#include "common/fault.h"
#include "common/json.h"

#define LOCK(kind) "SELECT id, resource_version, spec = $2::jsonb FROM " kind " WHERE name = $1 FOR UPDATE"

/* How each kind is written. $1 name, $2 spec, $3 the record it refers to, $4 an entitlement's key. */
static const struct {
  UsherSql lock, insert, update;
  int n_params;
  const char *refers; /* the member that names the record it refers to */
  UsherKind refers_to;
} ways[USHER_KINDS] = {
  [USHER_KIND_TEMPLATE]
  = { { "lock-template", LOCK ("template") },
      { "insert-template", "INSERT INTO template (name, spec) VALUES ($1, $2::jsonb)" },
      { "update-template", "WITH t AS (UPDATE template SET spec = $2::jsonb WHERE name = $1 RETURNING id) "
                           "UPDATE pool SET failures = 0 WHERE template IN (SELECT id FROM t)" },
      2,
      NULL,
      0 },
  [USHER_KIND_POOL]
  = { { "lock-pool", LOCK ("pool") },
      { "insert-pool", "INSERT INTO pool (name, spec, template) VALUES ($1, $2::jsonb, $3::uuid)" },
      { "update-pool", "UPDATE pool SET spec = $2::jsonb, template = $3::uuid, failures = 0 WHERE name = $1" },
      3,
      "template",
      USHER_KIND_TEMPLATE },
  [USHER_KIND_ENTITLEMENT]
  = { { "lock-entitlement", LOCK ("entitlement") },
      { "insert-entitlement", "INSERT INTO entitlement (name, spec, pool, key) VALUES ($1, $2::jsonb, $3::uuid, $4)" },
      { "update-entitlement", "UPDATE entitlement SET spec = $2::jsonb, pool = $3::uuid, key = $4 WHERE name = $1" },
      4,
      "pool",
      USHER_KIND_POOL },
  [USHER_KIND_HOST]
  = { { "lock-host", LOCK ("host") },
      { "insert-host", "INSERT INTO host (name, spec) VALUES ($1, $2::jsonb)" },
      { "update-host", "UPDATE host SET spec = $2::jsonb, wanted_version = usher_xact() WHERE name = $1" },
      2,
      NULL,
      0 },
};

/* The record referred to is locked against deletion until the end of the transaction. */
static const UsherSql find_referred[USHER_KINDS] = {
  [USHER_KIND_TEMPLATE] = { "refer-template", "SELECT id FROM template WHERE name = $1 FOR KEY SHARE" },
  [USHER_KIND_POOL] = { "refer-pool", "SELECT id FROM pool WHERE name = $1 AND NOT deleting FOR KEY SHARE" },
};

typedef struct {
  const UsherActor *actor;
  UsherKind kind;
  const char *name;
  const json_t *spec;
  char *spec_text, *key;
  gint64 version;
  UsherApplied applied; /* the outcome */
} Apply;

static gboolean
find_reference (UsherStore *store, const Apply *apply, char out[USHER_ID_SIZE], GError **error)
{
  const char *member = ways[apply->kind].refers;
  UsherKind kind = ways[apply->kind].refers_to;
  g_autoptr (UsherRows) rows = NULL;
  const char *name;
  if (member == NULL)
    return TRUE;
  name = usher_json_string (apply->spec, member);
  rows = usher_sql (store, &find_referred[kind], error, name);
  if (rows == NULL)
    return FALSE;
  if (PQntuples (rows) == 0)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "%s \"%s\": spec.%s: there is no %s \"%s\"",
                   usher_kind_name (apply->kind), apply->name, member, usher_kind_name (kind), name);
      return FALSE;
    }
  g_strlcpy (out, usher_cell_text (rows, 0, 0), USHER_ID_SIZE);
  return TRUE;
}

/* What is there already; decides what is to be done. */
static gboolean
compare (UsherStore *store, Apply *apply, GError **error)
{
  g_autoptr (UsherRows) rows = usher_sql (store, &ways[apply->kind].lock, error, apply->name, apply->spec_text);
  if (rows == NULL)
    return FALSE;
  gboolean there = PQntuples (rows) > 0;
  if (apply->version != 0 && (!there || usher_cell_int (rows, 0, 1) != apply->version))
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_CONFLICT,
                   "%s \"%s\": its resource_version is %s, not %" G_GINT64_FORMAT, usher_kind_name (apply->kind),
                   apply->name, there ? usher_cell_text (rows, 0, 1) : "gone", apply->version);
      return FALSE;
    }
  apply->applied = !there                         ? USHER_APPLIED_CREATED
                   : usher_cell_bool (rows, 0, 2) ? USHER_APPLIED_SAME
                                                  : USHER_APPLIED_CHANGED;
  return TRUE;
}

static gboolean
apply_in_transaction (UsherStore *store, gpointer data, GError **error)
{
  Apply *apply = data;
  char reference[USHER_ID_SIZE] = "";
  if (!compare (store, apply, error) || !find_reference (store, apply, reference, error))
    return FALSE;
  if (apply->applied == USHER_APPLIED_SAME)
    return TRUE;

  gboolean fresh = apply->applied == USHER_APPLIED_CREATED;
  const char *const params[] = { apply->name, apply->spec_text, reference, apply->key };
  const UsherSql *write = fresh ? &ways[apply->kind].insert : &ways[apply->kind].update;
  UsherAuditLine line = { .action = fresh ? "create" : "change",
                          .outcome = "ok",
                          .kind = usher_kind_name (apply->kind),
                          .object = apply->name,
                          .message = apply->spec_text };
  if (!usher_sql_done (usher_sql_run (store, write, params, ways[apply->kind].n_params, error), NULL))
    return FALSE;
  USHER_FAULT_POINT ("store.apply");
  json_auto_t *record = usher_store_get (store, apply->kind, apply->name, error);
  line.id = record != NULL ? usher_json_string (record, "id") : NULL;
  return record != NULL && usher_audit_add (store, apply->actor, &line, error);
}

static gboolean
check_apply (UsherKind kind, const char *name, const json_t *spec, GError **error)
{
  if (!usher_spec_is_applied (kind))
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_REFUSED, "records of the kind %s are not applied",
                   usher_kind_name (kind));
      return FALSE;
    }
  if (!usher_spec_name_is_valid (name))
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID,
                   "%s \"%s\": is not a name: a-z, 0-9, - and . between them, at most 63 characters",
                   usher_kind_name (kind), name);
      return FALSE;
    }
  return usher_spec_check (kind, name, spec, error);
}

json_t *
usher_store_apply (UsherStore *store, const UsherActor *actor, UsherKind kind, const char *name, const json_t *spec,
                   gint64 version, UsherApplied *out_applied, GError **error)
{
  g_autofree char *text = NULL, *key = NULL;
  GError *local = NULL;
  Apply apply = { .actor = actor, .kind = kind, .name = name, .spec = spec, .version = version };
  if (!check_apply (kind, name, spec, error))
    return NULL;
  apply.spec_text = text = usher_json_to_line (spec);
  apply.key = key = kind == USHER_KIND_ENTITLEMENT ? usher_spec_entitlement_key (spec, error) : NULL;
  if (!usher_store_transact (store, apply_in_transaction, &apply, &local))
    {
      UsherAuditLine line = { .action = "apply", .kind = usher_kind_name (kind), .object = name };
      usher_audit_refusal (store, actor, &line, local);
      g_propagate_error (error, local);
      return NULL;
    }
  if (out_applied != NULL)
    *out_applied = apply.applied;
  return usher_store_get (store, kind, name, error);
}
