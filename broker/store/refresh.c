#include "broker/store/refresh.h"

#include "broker/store/audit_add.h"
#include "broker/store/records.h"
#include "broker/store/sql.h"
#include "common/log.h"

static const UsherSql refresh_desktop = {
  "refresh",
  "UPDATE desktop d SET system_revision = system_revision + 1, refreshed_at = now(), asked_at = now(), template = v.template, "
  "template_version = v.template_version, vcpus = v.vcpus, ram_mib = v.ram_mib, clone = v.clone, history = "
  "usher_note(history, 'refreshed', $2) FROM pool_wants v WHERE d.id = $1::uuid AND v.pool = d.pool AND d.assignment = "
  "'fresh-system' AND d.host IS NOT NULL AND d.state NOT IN ('planned', 'draining', 'gone')",
};
static const UsherSql find_desktop = {
  "refresh-find",
  "SELECT id, name, state, assignment FROM desktop WHERE name = $1 OR id::text = $1 ORDER BY name <> $1 LIMIT 1 FOR NO KEY "
  "UPDATE",
};

gboolean
usher_desktop_refresh (UsherStore *store, const char *id, const char *message, gint64 *out_count, GError **error)
{
  UsherLogContext context = { .desktop = id };
  if (!usher_sql_do (store, &refresh_desktop, out_count, error, id, message))
    return FALSE;
  if (*out_count > 0)
    usher_log (USHER_LOG_INFO, &context, "desktop gets a fresh system: %s", message);
  return TRUE;
}

typedef struct {
  const UsherActor *actor;
  const char *name_or_id;
} Refresh;

static gboolean
refuse (const UsherRows *found, GError **error)
{
  const char *name = usher_cell_text (found, 0, 1), *assignment = usher_cell_text (found, 0, 3);
  if (g_str_equal (assignment, "fresh-system"))
    g_set_error (error, USHER_ERROR, USHER_ERROR_CONFLICT, "desktop \"%s\" is %s: it gets a fresh system anyway, or is not there",
                 name, usher_cell_text (found, 0, 2));
  else
    g_set_error (error, USHER_ERROR, USHER_ERROR_CONFLICT,
                 "desktop \"%s\" is %s: it has no data disk, so all of it would be lost; delete it if that is meant", name,
                 assignment);
  return FALSE;
}

static gboolean
refresh (UsherStore *store, gpointer data, GError **error)
{
  const Refresh *wish = data;
  g_autoptr (UsherRows) found = usher_sql (store, &find_desktop, error, wish->name_or_id);
  g_autofree char *message = g_strdup_printf ("%s asked for it", wish->actor->name != NULL ? wish->actor->name : "somebody");
  gint64 count = 0;
  if (found == NULL)
    return FALSE;
  if (PQntuples (found) == 0)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_MISSING, "there is no desktop \"%s\"", wish->name_or_id);
      return FALSE;
    }
  UsherAuditLine line = { .action = "refresh",
                          .outcome = "ok",
                          .kind = "desktop",
                          .id = usher_cell_text (found, 0, 0),
                          .object = usher_cell_text (found, 0, 1) };
  if (!usher_desktop_refresh (store, line.id, message, &count, error))
    return FALSE;
  return count > 0 ? usher_audit_add (store, wish->actor, &line, error) : refuse (found, error);
}

json_t *
usher_store_refresh (UsherStore *store, const UsherActor *actor, const char *name_or_id, GError **error)
{
  Refresh wish = { actor, name_or_id };
  GError *local = NULL;
  if (usher_store_transact (store, refresh, &wish, &local))
    return usher_store_get (store, USHER_KIND_DESKTOP, name_or_id, error);
  UsherAuditLine line = { .action = "refresh", .kind = "desktop", .object = name_or_id };
  usher_audit_refusal (store, actor, &line, local);
  g_propagate_error (error, local);
  return NULL;
}
