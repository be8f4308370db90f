#include "broker/store/versions.h"

#include "broker/store/audit_add.h"
#include "broker/store/records.h"
#include "broker/store/sql.h"
#include "common/fault.h"

/* Everything that decides about a template's versions holds its row; those without a row have no pools either. */
static const UsherSql lock_template = {
  "version-lock-template",
  "SELECT id, (spec->>'version')::bigint, to_jsonb(previous) FROM template WHERE name = $1 FOR UPDATE",
};
enum { T_ID, T_PUBLISHED, T_PREVIOUS };
static const UsherSql lock_version = {
  "version-lock",
  "SELECT id, state FROM template_version WHERE template = $1 AND version = $2::bigint FOR UPDATE",
};
static const UsherSql find_on_hosts = {
  "version-on-hosts",
  "SELECT 1 FROM host WHERE $1 || '/' || $2 = ANY (templates) LIMIT 1",
};
/* Each row: rule, message. */
static const UsherSql against_publishing = {
  "version-against-publishing",
  "SELECT 'size', format('pool \"%s\" gives its desktops %s vCPUs and %s MiB; this version needs %s and %s', p.name, p.spec->>'vcpus', "
  "p.spec->>'ram_mib', v.manifest->'minimum'->>'vcpus', v.manifest->'minimum'->>'ram_mib') "
  "FROM pool p JOIN template_version v ON v.template = p.spec->>'template' WHERE v.template = $1 AND v.version = $2::bigint "
  "AND NOT p.deleting AND NOT p.spec ? 'template_version' "
  "AND ((p.spec->>'vcpus')::bigint < (v.manifest->'minimum'->>'vcpus')::bigint "
  "OR (p.spec->>'ram_mib')::bigint < (v.manifest->'minimum'->>'ram_mib')::bigint) ORDER BY p.name LIMIT 20",
};
static const UsherSql against_retiring = {
  "version-against-retiring",
  "SELECT 'published', format('it is the published version of \"%s\": publish another one first', name) FROM template "
  "WHERE name = $1 AND (spec->>'version')::bigint = $2::bigint "
  "UNION ALL (SELECT 'pool', format('pool \"%s\" asks for it', name) FROM pool WHERE spec->>'template' = $1 "
  "AND (spec->>'template_version')::bigint = $2::bigint ORDER BY name LIMIT 20) "
  "UNION ALL (SELECT 'desktop', format('desktop \"%s\" stands on it', name) FROM desktop WHERE template = $1 "
  "AND template_version = $2::bigint AND state <> 'gone' ORDER BY name LIMIT 20)",
};
static const UsherSql make_template = {
  "version-make-template",
  "INSERT INTO template (name, spec) VALUES ($1, jsonb_build_object('version', $2::bigint))",
};
static const UsherSql publish = {
  "version-publish",
  "WITH t AS (UPDATE template SET spec = jsonb_set(spec, '{version}', to_jsonb($2::bigint)) WHERE name = $1 "
  "AND (spec->>'version')::bigint <> $2::bigint RETURNING id) UPDATE pool SET failures = 0 WHERE template IN (SELECT id FROM t)",
};
static const UsherSql go_back = {
  "version-rollback",
  "WITH t AS (UPDATE template SET spec = jsonb_set(spec, '{version}', to_jsonb($2::bigint)), previous = previous[:$3::int] "
  "WHERE name = $1 RETURNING id) UPDATE pool SET failures = 0 WHERE template IN (SELECT id FROM t)",
};
/* The newest of those published before that may be had again; position counts from 1. */
static const UsherSql find_earlier = {
  "version-earlier",
  "SELECT p.version, p.position FROM template t, unnest(t.previous) WITH ORDINALITY p (version, position) WHERE t.name = $1 "
  "AND p.version <> (t.spec->>'version')::bigint AND NOT EXISTS (SELECT FROM template_version v WHERE v.template = t.name "
  "AND v.version = p.version AND v.state = 'retired') ORDER BY p.position DESC LIMIT 1",
};
static const UsherSql retire = {
  "version-retire",
  "UPDATE template_version SET state = 'retired', since = now(), history = usher_note(history, 'retired', 'nobody uses it') "
  "WHERE template = $1 AND version = $2::bigint AND state <> 'retired'",
};

typedef struct {
  const UsherActor *actor;
  UsherVersionChange change;
  const char *template;
  gint64 version;
  /* of the transaction */
  gboolean has_template;
  gint64 published;
  char version_state[16]; /* "" when it has no record */
  json_t *reasons;
} Change;

static const char *const actions[] = { "publish", "rollback", "retire" };

static gboolean
refuse (Change *change, const char *rule, const char *message, GError **error)
{
  json_array_append_new (change->reasons, json_pack ("{s:s, s:s}", "rule", rule, "message", message));
  g_set_error (error, USHER_ERROR, USHER_ERROR_CONFLICT, "%s of \"%s\" %" G_GINT64_FORMAT ": %s", actions[change->change],
               change->template, change->version, message);
  return FALSE;
}

/* What the statement finds is all in the way. */
static gboolean
nothing_against (UsherStore *store, Change *change, const UsherSql *sql, GError **error)
{
  g_autoptr (UsherRows) rows = usher_sql (store, sql, error, change->template, usher_number (change->version).text);
  if (rows == NULL)
    return FALSE;
  g_autoptr (GError) first = NULL;
  for (int row = 0; row < PQntuples (rows); row++)
    refuse (change, usher_cell_text (rows, row, 0), usher_cell_text (rows, row, 1), first == NULL ? &first : NULL);
  if (first != NULL)
    g_propagate_error (error, g_steal_pointer (&first));
  return PQntuples (rows) == 0;
}

static gboolean
missing (const Change *change, GError **error)
{
  g_set_error (error, USHER_ERROR, USHER_ERROR_MISSING, "there is no version %" G_GINT64_FORMAT " of template \"%s\"",
               change->version, change->template);
  return FALSE;
}

static gboolean
look_at_template (UsherStore *store, Change *change, GError **error)
{
  g_autoptr (UsherRows) rows = usher_sql (store, &lock_template, error, change->template);
  if (rows == NULL)
    return FALSE;
  change->has_template = PQntuples (rows) > 0;
  change->published = change->has_template ? usher_cell_int (rows, 0, T_PUBLISHED) : 0;
  return TRUE;
}

static gboolean
look_at_version (UsherStore *store, Change *change, GError **error)
{
  g_autoptr (UsherRows) rows = usher_sql (store, &lock_version, error, change->template, usher_number (change->version).text);
  if (rows == NULL)
    return FALSE;
  g_strlcpy (change->version_state, PQntuples (rows) > 0 ? usher_cell_text (rows, 0, 1) : "", sizeof change->version_state);
  return TRUE;
}

static gboolean
do_publish (UsherStore *store, Change *change, GError **error)
{
  const char *template = change->template;
  if (!look_at_version (store, change, error))
    return FALSE;
  if (g_str_equal (change->version_state, "retired"))
    return refuse (change, "retired", "it is retired: its files are gone or will be", error);
  if (change->version_state[0] == '\0' && change->version != change->published)
    {
      g_autoptr (UsherRows) there = usher_sql (store, &find_on_hosts, error, template, usher_number (change->version).text);
      if (there == NULL || PQntuples (there) == 0)
        return there != NULL && missing (change, error);
    }
  if (!nothing_against (store, change, &against_publishing, error))
    return FALSE;
  return usher_sql_do (store, change->has_template ? &publish : &make_template, NULL, error, template,
                       usher_number (change->version).text);
}

static gboolean
do_rollback (UsherStore *store, Change *change, GError **error)
{
  if (!change->has_template)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_MISSING, "there is no template \"%s\"", change->template);
      return FALSE;
    }
  g_autoptr (UsherRows) earlier = usher_sql (store, &find_earlier, error, change->template);
  if (earlier == NULL)
    return FALSE;
  change->version = change->published;
  if (PQntuples (earlier) == 0)
    return refuse (change, "first", "no other version was published before, or they are retired", error);
  change->version = usher_cell_int (earlier, 0, 0);
  return nothing_against (store, change, &against_publishing, error)
         && usher_sql_do (store, &go_back, NULL, error, change->template, usher_number (change->version).text,
                          usher_number (usher_cell_int (earlier, 0, 1) - 1).text);
}

static gboolean
do_retire (UsherStore *store, Change *change, GError **error)
{
  if (!look_at_version (store, change, error))
    return FALSE;
  if (change->version_state[0] == '\0')
    return missing (change, error);
  return nothing_against (store, change, &against_retiring, error)
         && usher_sql_do (store, &retire, NULL, error, change->template, usher_number (change->version).text);
}

static gboolean (*const ways[]) (UsherStore *, Change *, GError **) = { do_publish, do_rollback, do_retire };

static gboolean
change_in_transaction (UsherStore *store, gpointer data, GError **error)
{
  Change *change = data;
  json_array_clear (change->reasons);
  if (!look_at_template (store, change, error) || !ways[change->change](store, change, error))
    return FALSE;
  USHER_FAULT_POINT ("images.change");
  g_autofree char *name = g_strdup_printf ("%s.%" G_GINT64_FORMAT, change->template, change->version);
  g_autofree char *message = g_strdup_printf ("version %" G_GINT64_FORMAT " was published before", change->published);
  UsherAuditLine line = { .action = actions[change->change], .outcome = "ok", .kind = "template-version", .object = name,
                          .message = change->change == USHER_VERSION_RETIRE || change->published == 0 ? "" : message };
  json_auto_t *record = usher_store_get (store, USHER_KIND_TEMPLATE_VERSION, name, NULL);
  line.id = record != NULL ? json_string_value (json_object_get (record, "id")) : NULL;
  return usher_audit_add (store, change->actor, &line, error);
}

json_t *
usher_store_version_change (UsherStore *store, const UsherActor *actor, UsherVersionChange what, const char *template,
                            gint64 version, json_t **out_reasons, GError **error)
{
  json_auto_t *reasons = json_array ();
  Change change = { .actor = actor, .change = what, .template = template, .version = version, .reasons = reasons };
  GError *local = NULL;
  if (!usher_store_transact (store, change_in_transaction, &change, &local))
    {
      UsherAuditLine line = { .action = actions[what], .kind = "template-version", .object = template };
      usher_audit_refusal (store, actor, &line, local);
      g_propagate_error (error, local);
      if (json_array_size (reasons) > 0)
        *out_reasons = json_incref (reasons);
      return NULL;
    }
  json_t *record = usher_store_get (store, USHER_KIND_TEMPLATE, template, what == USHER_VERSION_RETIRE ? NULL : error);
  if (record != NULL || what != USHER_VERSION_RETIRE)
    return record;
  g_autofree char *name = g_strdup_printf ("%s.%" G_GINT64_FORMAT, template, version);
  return usher_store_get (store, USHER_KIND_TEMPLATE_VERSION, name, error);
}
