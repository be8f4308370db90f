#include "broker/store/people.h"

#include "broker/store/audit_add.h"
#include "broker/store/desktop_view.h"
#include "policies/pool_plan.h"

/* $1: the person. Behind the pool's columns those of the view of the person's desktop, NULLs without one. */
static const UsherSql find_pools = {
  "pools-of",
  "SELECT p.name, p.spec->>'display_name', coalesce(p.spec->>'description', ''), p.failures, "
  "extract(epoch FROM now() - p.failed_at)::bigint, (p.spec->>'maximum')::bigint, "
  "(SELECT count(*) FROM desktop x WHERE x.pool = p.id AND x.state NOT IN ('draining', 'gone')), "
  "(SELECT count(*) FROM desktop x JOIN host y ON y.id = x.host WHERE x.pool = p.id AND x.state = 'spare' "
  "AND x.seen_state = 'ready' AND y.last_seen > now() - interval '30 seconds'), "
  "(SELECT count(*) FROM desktop x WHERE x.pool = p.id AND x.owner IS NULL AND x.obstacles = '[]' "
  "AND x.state IN ('planned', 'provisioning')), "
  "(SELECT x.reason FROM desktop x WHERE x.pool = p.id AND x.owner IS NULL AND x.obstacles <> '[]' LIMIT 1), "
  "(SELECT count(*) FROM host y WHERE y.last_seen > now() - interval '30 seconds' AND y.spec->>'mode' = 'active'), "
  USHER_ETA_VIEW ("(v.clone = 'instant')", "usher_best_parent(v.template, v.template_version, v.vcpus, v.ram_mib)") ", "
  "coalesce(d.assignment, v.assignment), CASE WHEN p.status->>'rule' <> '' THEN p.status->>'reason' END, p.failure, " USHER_DESKTOP_VIEW_COLUMNS " "
  "FROM pool p JOIN pool_wants v ON v.pool = p.id LEFT JOIN desktop d ON d.pool = p.id AND d.owner = $1::uuid "
  "AND d.state NOT IN ('draining', 'gone') LEFT JOIN host h ON h.id = d.host WHERE NOT p.deleting AND p.id IN "
  "(SELECT e.pool FROM entitlement e JOIN person o ON e.key = ANY (o.keys) WHERE o.id = $1::uuid) ORDER BY 2, 1",
};
enum {
  NAME,
  DISPLAY_NAME,
  DESCRIPTION,
  FAILURES,
  FAILED_AGO,
  MAXIMUM,
  LIVE,
  READY,
  MAKING,
  STUCK,
  HOSTS,
  ETA,
  ASSIGNMENT,
  REASON,
  FAILURE,
  VIEW
};

static const UsherSql find_name = { "person-name", "SELECT name FROM person WHERE id = $1::uuid" };

/* The state of a pool in which the person has no desktop yet; *out_reason is owned by the caller. */
static const char *
state_without (const UsherRows *rows, int row, char **out_reason)
{
  gint64 wait_s = usher_pool_back_off (usher_cell_int (rows, row, FAILURES), usher_cell_int (rows, row, FAILED_AGO));
  if (usher_cell_int (rows, row, READY) > 0)
    return "ready";
  if (usher_cell_int (rows, row, MAKING) > 0)
    {
      *out_reason = g_strdup (usher_cell_text (rows, row, REASON));
      return "starting";
    }
  if (usher_cell (rows, row, STUCK) != NULL)
    *out_reason = g_strdup (usher_cell_text (rows, row, STUCK));
  else if (wait_s > 0)
    *out_reason = g_strdup_printf ("the last desktop could not be made (%s): the next is tried in %d s",
                                   usher_cell_text (rows, row, FAILURE), (int) wait_s);
  else if (usher_cell_int (rows, row, LIVE) >= usher_cell_int (rows, row, MAXIMUM))
    *out_reason = g_strdup_printf ("all %s desktops of this pool are in use", usher_cell_text (rows, row, MAXIMUM));
  else if (usher_cell_int (rows, row, HOSTS) == 0)
    *out_reason = g_strdup ("no host can take a desktop now");
  else
    return "available";
  return "unavailable";
}

static json_t *
pool_document (const UsherRows *rows, int row)
{
  g_autoptr (UsherDesktopView) own
      = usher_cell (rows, row, VIEW) != NULL ? usher_desktop_view_read (rows, row, VIEW) : NULL;
  json_auto_t *times = usher_cell_json (rows, row, ETA);
  g_autofree char *reason = NULL;
  const char *state;
  json_t *eta = NULL;
  if (own == NULL)
    {
      state = state_without (rows, row, &reason);
      eta = g_str_equal (state, "available") || g_str_equal (state, "starting")
                ? json_integer (usher_eta_view_read (times, 0).eta_s)
                : NULL;
    }
  else
    {
      state = own->ready ? "ready"
              : own->state == USHER_DESKTOP_FAILED || own->silent || own->stuck
                  ? "unavailable"
                  : "starting";
      reason = g_strdup (own->why);
      eta = own->ready ? NULL : json_integer (own->eta_s);
    }
  return json_pack ("{s:s, s:s, s:s, s:s, s:s, s:s, s:o*, s:O?}", "name", usher_cell_text (rows, row, NAME), "display_name",
                    usher_cell_text (rows, row, DISPLAY_NAME), "description", usher_cell_text (rows, row, DESCRIPTION),
                    "assignment", usher_cell_text (rows, row, ASSIGNMENT), "state", state, "reason",
                    reason != NULL ? reason : "", "eta_s", eta, "desktop",
                    own != NULL ? own->document : NULL);
}

static json_t *
no_pools (UsherStore *store, const char *person, GError **error)
{
  g_autoptr (UsherRows) rows = usher_sql (store, &find_name, error, person);
  if (rows == NULL)
    return NULL;
  g_autofree char *message
      = g_strdup_printf ("No pool of desktops is assigned to %s, or to a group that %s is a member of. "
                         "An administrator can assign one.",
                         PQntuples (rows) > 0 ? usher_cell_text (rows, 0, 0) : "you",
                         PQntuples (rows) > 0 ? usher_cell_text (rows, 0, 0) : "you");
  return json_pack ("[{s:s, s:s}]", "rule", "entitlement", "message", message);
}

json_t *
usher_store_pools_of (UsherStore *store, const char *person, GError **error)
{
  g_autoptr (UsherRows) rows = usher_sql (store, &find_pools, error, person);
  if (rows == NULL)
    return NULL;
  json_t *reasons = PQntuples (rows) > 0 ? json_array () : no_pools (store, person, error);
  if (reasons == NULL)
    return NULL;
  json_t *items = json_array ();
  for (int row = 0; row < PQntuples (rows); row++)
    json_array_append_new (items, pool_document (rows, row));
  return json_pack ("{s:o, s:o}", "items", items, "reasons", reasons);
}

/* ---- desktops ---- */

static const UsherSql find_desktops = {
  "desktops-of",
  "SELECT usher_horizon(), EXISTS (SELECT FROM desktop WHERE owner = $1::uuid AND resource_version > $2::bigint), " USHER_DESKTOP_VIEW_COLUMNS
  " FROM (SELECT) one LEFT JOIN desktop d ON d.owner = $1::uuid AND d.state NOT IN ('draining', 'gone') "
  "LEFT JOIN pool p ON p.id = d.pool LEFT JOIN host h ON h.id = d.host ORDER BY d.name",
};

gboolean
usher_store_desktops_of (UsherStore *store, const char *person, gint64 after, json_t **out, GError **error)
{
  g_autoptr (UsherRows) rows = usher_sql (store, &find_desktops, error, person, usher_number (after).text);
  if (rows == NULL)
    return FALSE;
  if (after > 0 && !usher_cell_bool (rows, 0, 1))
    return TRUE;
  json_t *items = json_array ();
  for (int row = 0; row < PQntuples (rows); row++)
    if (usher_cell (rows, row, 2) != NULL)
      {
        g_autoptr (UsherDesktopView) view = usher_desktop_view_read (rows, row, 2);
        json_array_append (items, view->document);
      }
  *out = json_pack ("{s:I, s:o}", "resource_version", (json_int_t) usher_cell_int (rows, 0, 0), "items", items);
  return TRUE;
}

static const UsherSql restart_desktop = {
  "restart",
  "UPDATE desktop SET restart_revision = restart_revision + 1, asked_at = now(), history = usher_note(history, 'restart', $3) "
  "WHERE id = $1::uuid AND owner = $2::uuid AND state IN ('assigned', 'stopped', 'failed') RETURNING name",
};
static const UsherSql find_own = {
  "own-desktop",
  "SELECT " USHER_DESKTOP_VIEW_COLUMNS " FROM desktop d JOIN pool p ON p.id = d.pool LEFT JOIN host h ON h.id = d.host "
  "WHERE d.id = $1::uuid AND d.owner = $2::uuid AND d.state NOT IN ('draining', 'gone')",
};

typedef struct {
  const UsherActor *actor;
  const char *person, *desktop;
  json_t *document; /* the outcome */
} Restart;

static gboolean
restart (UsherStore *store, gpointer data, GError **error)
{
  Restart *wish = data;
  g_autofree char *note
      = g_strdup_printf ("%s asked for a restart", wish->actor->name != NULL ? wish->actor->name : "somebody");
  g_autoptr (UsherRows) changed = usher_sql (store, &restart_desktop, error, wish->desktop, wish->person, note);
  g_autoptr (UsherRows) own = changed != NULL ? usher_sql (store, &find_own, error, wish->desktop, wish->person) : NULL;
  UsherAuditLine line = { .action = "restart", .outcome = "ok", .kind = "desktop", .id = wish->desktop };
  if (own == NULL)
    return FALSE;
  if (PQntuples (own) == 0)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_MISSING, "you have no desktop %s", wish->desktop);
      return FALSE;
    }
  g_autoptr (UsherDesktopView) view = usher_desktop_view_read (own, 0, 0);
  if (PQntuples (changed) == 0)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_CONFLICT, "the desktop is %s: it cannot be restarted now",
                   usher_desktop_state_name (view->state));
      return FALSE;
    }
  line.object = usher_cell_text (changed, 0, 0);
  json_decref (wish->document);
  wish->document = json_incref (view->document);
  return usher_audit_add (store, wish->actor, &line, error);
}

json_t *
usher_store_restart (UsherStore *store, const UsherActor *actor, const char *person, const char *desktop,
                     GError **error)
{
  Restart wish = { .actor = actor, .person = person, .desktop = desktop };
  GError *local = NULL;
  if (!usher_id_is_valid (desktop))
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_MISSING, "you have no desktop \"%s\"", desktop);
      return NULL;
    }
  if (usher_store_transact (store, restart, &wish, &local))
    return wish.document;
  UsherAuditLine line = { .action = "restart", .kind = "desktop", .id = desktop };
  usher_audit_refusal (store, actor, &line, local);
  g_propagate_error (error, local);
  json_decref (wish.document);
  return NULL;
}
