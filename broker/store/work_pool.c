#include <string.h>

#include "broker/store/desktop_move.h"
#include "broker/store/sql.h"
#include "broker/store/work.h"
#include "common/fault.h"
#include "common/json.h"

static const UsherSql list_pools = { "work-pools", "SELECT id FROM pool ORDER BY name" };
static const UsherSql lock_pool = {
  "work-pool-lock",
  "SELECT p.name, (p.spec->>'spares')::bigint, (p.spec->>'maximum')::bigint, p.deleting, p.failures, "
  "extract(epoch FROM now() - p.failed_at)::bigint, p.failure, v.clone, CASE WHEN v.clone = 'instant' THEN "
  "coalesce((SELECT CASE b->>'state' WHEN 'unable' THEN b->>'reason' WHEN 'failed' THEN 'their parent could not be built: ' "
  "|| (b->>'reason') END FROM usher_best_parent(v.template, v.template_version, v.vcpus, v.ram_mib) b), (SELECT "
  "d.seen_clone_reason FROM desktop d WHERE d.pool = p.id AND d.template_version = v.template_version AND "
  "d.seen_clone_reason <> '' AND d.state NOT IN ('draining', 'gone') ORDER BY d.created_at DESC LIMIT 1)) END FROM pool p "
  "JOIN pool_wants v ON v.pool = p.id WHERE p.id = $1::uuid FOR NO KEY UPDATE OF p SKIP LOCKED",
};
/* Whether a desktop d is as pool_wants v would make it. */
#define FITS                                                                                                           \
  "((d.template, d.template_version, d.vcpus, d.ram_mib, d.clone, d.assignment, d.data_gib) = "                        \
  "(v.template, v.template_version, v.vcpus, v.ram_mib, v.clone, v.assignment, v.data_gib))"
/* One that failed after it had been somebody's holds work: it counts as owned and stays. */
static const UsherSql count_desktops = {
  "work-pool-count",
  "SELECT count(*) FILTER (WHERE owner IS NULL AND state = 'spare' AND fits), "
  "count(*) FILTER (WHERE owner IS NULL AND state IN ('planned', 'provisioning', 'stopped', 'suspended') AND fits), "
  "count(*) FILTER (WHERE owner IS NOT NULL AND NOT (state = 'failed' AND ready_at IS NULL)), "
  "count(*) FILTER (WHERE state = 'failed' AND (owner IS NULL OR ready_at IS NULL)), "
  "(SELECT count(*) FROM desktop WHERE pool = $1::uuid AND state IN ('draining', 'gone')), "
  "count(*) FILTER (WHERE owner IS NULL AND state = 'spare' AND NOT fits), "
  "count(*) FILTER (WHERE owner IS NULL AND state IN ('planned', 'provisioning', 'stopped', 'suspended') AND NOT fits) "
  "FROM (SELECT d.owner, d.state, d.ready_at, " FITS " AS fits FROM desktop d JOIN pool_wants v ON v.pool = d.pool WHERE "
  "d.pool = $1::uuid AND d.state NOT IN ('draining', 'gone')) d",
};
#define NOBODYS(fits)                                                                                                  \
  "SELECT d.id FROM desktop d JOIN pool_wants v ON v.pool = d.pool WHERE d.pool = $1::uuid AND d.owner IS NULL AND "   \
  "d.state IN ('planned', 'provisioning', 'stopped', 'suspended', 'spare') AND " fits " ORDER BY array_position("      \
  "ARRAY['planned', 'provisioning', 'stopped', 'suspended', 'spare'], d.state), d.created_at DESC LIMIT $2::bigint "   \
  "FOR NO KEY UPDATE OF d SKIP LOCKED"
static const UsherSql choose_extra = { "work-pool-extra", NOBODYS (FITS) };
static const UsherSql choose_stale = { "work-pool-stale", NOBODYS ("NOT " FITS) };
static const UsherSql choose_failed = {
  "work-pool-failed",
  "SELECT id FROM desktop WHERE pool = $1::uuid AND state = 'failed' AND (owner IS NULL OR ready_at IS NULL) "
  "LIMIT $2::bigint FOR NO KEY UPDATE SKIP LOCKED",
};
static const UsherSql choose_all = {
  "work-pool-all",
  "SELECT id FROM desktop WHERE pool = $1::uuid AND state NOT IN ('draining', 'gone') LIMIT $2::bigint FOR NO KEY "
  "UPDATE SKIP LOCKED",
};
static const UsherSql write_status = {
  "work-pool-status",
  "UPDATE pool SET status = $2::jsonb, history = CASE WHEN $3 = '' OR status->>'rule' = $3 THEN history ELSE "
  "usher_note(history, $3, $4) END WHERE id = $1::uuid AND status IS DISTINCT FROM $2::jsonb",
};
static const UsherSql drop_pool = {
  "work-pool-drop",
  "DELETE FROM pool p WHERE id = $1::uuid AND deleting AND NOT EXISTS (SELECT FROM desktop d WHERE d.pool = p.id)",
};

char **
usher_work_list_pools (UsherStore *store, GError **error)
{
  g_autoptr (UsherRows) rows = usher_sql (store, &list_pools, error);
  GPtrArray *ids;
  if (rows == NULL)
    return NULL;
  ids = g_ptr_array_new ();
  for (int row = 0; row < PQntuples (rows); row++)
    g_ptr_array_add (ids, g_strdup (usher_cell_text (rows, row, 0)));
  g_ptr_array_add (ids, NULL);
  return (char **) g_ptr_array_free (ids, FALSE);
}

/* ---- a new desktop ---- */

static const UsherSql next_number = {
  "plan-number",
  "UPDATE pool SET next_number = next_number + 1 WHERE id = $1::uuid RETURNING next_number - 1, "
  "replace(spec->>'naming', '{n}', (next_number - 1)::text)",
};
static const UsherSql add_desktop = {
  "plan-desktop",
  "INSERT INTO desktop (name, pool, owner, template, template_version, vcpus, ram_mib, reason, history, clone, "
  "assignment, data_gib) "
  "SELECT $2, v.pool, $3::uuid, v.template, v.template_version, v.vcpus, v.ram_mib, $4, usher_note('[]', 'planned', $4), "
  "v.clone, v.assignment, v.data_gib FROM pool_wants v WHERE v.pool = $1::uuid ON CONFLICT (name) DO NOTHING",
};
#define NAME_TRIES 1000 /* names that another pool of the same naming took */

gboolean
usher_work_plan_desktop (UsherStore *store, const char *pool, const char *owner, const char *why, GError **error)
{
  for (int i = 0; i < NAME_TRIES; i++)
    {
      g_autoptr (UsherRows) name = usher_sql (store, &next_number, error, pool);
      gint64 count = 0;
      if (name == NULL)
        return FALSE;
      if (PQntuples (name) == 0)
        {
          g_set_error (error, USHER_ERROR, USHER_ERROR_CONFLICT, "pool %s is gone", pool);
          return FALSE;
        }
      if (!usher_sql_do (store, &add_desktop, &count, error, pool, usher_cell_text (name, 0, 1), owner, why))
        return FALSE;
      if (count > 0)
        return TRUE;
    }
  g_set_error (error, USHER_ERROR, USHER_ERROR_EXHAUSTED, "pool %s: %d names in a row are taken", pool, NAME_TRIES);
  return FALSE;
}

/* ---- the pool's promise ---- */

typedef struct {
  const char *pool;
  UsherWorkPlan plan;
  gint64 again_s; /* the outcome */
} PoolWork;

static gboolean
count (UsherStore *store, const char *pool, const UsherRows *head, UsherPoolCounts *counts, gint64 *out_draining,
       GError **error)
{
  g_autoptr (UsherRows) rows = usher_sql (store, &count_desktops, error, pool);
  if (rows == NULL)
    return FALSE;
  *counts = (UsherPoolCounts){ .spares = usher_cell_int (head, 0, 1),
                               .maximum = usher_cell_int (head, 0, 2),
                               .deleting = usher_cell_bool (head, 0, 3),
                               .failures = usher_cell_int (head, 0, 4),
                               .failed_ago_s = usher_cell_int (head, 0, 5),
                               .failure = usher_cell_text (head, 0, 6),
                               .ready = usher_cell_int (rows, 0, 0),
                               .making = usher_cell_int (rows, 0, 1),
                               .owned = usher_cell_int (rows, 0, 2),
                               .failed = usher_cell_int (rows, 0, 3),
                               .stale_ready = usher_cell_int (rows, 0, 5),
                               .stale_making = usher_cell_int (rows, 0, 6) };
  *out_draining = usher_cell_int (rows, 0, 4);
  return TRUE;
}

static gboolean
drain (UsherStore *store, const UsherSql *choose, const char *pool, gint64 n, const char *rule, const char *why,
       GError **error)
{
  if (n <= 0)
    return TRUE;
  g_autoptr (UsherRows) rows = usher_sql (store, choose, error, pool, usher_number (n).text);
  for (int row = 0; rows != NULL && row < PQntuples (rows); row++)
    if (!usher_desktop_drain (store, usher_cell_text (rows, row, 0), rule, why, error))
      return FALSE;
  return rows != NULL;
}

static gboolean
carry_out (UsherStore *store, const char *pool, const UsherPoolCounts *counts, const UsherPoolPlan *plan,
           GError **error)
{
  if (counts->deleting)
    return drain (store, &choose_all, pool, G_MAXINT32, "deleting", "its pool was deleted", error)
           && usher_sql_do (store, &drop_pool, NULL, error, pool);
  for (gint64 i = 0; i < plan->create; i++)
    {
      if (!usher_work_plan_desktop (store, pool, NULL, "the pool wants a spare", error))
        return FALSE;
      USHER_FAULT_POINT ("controllers.pool-plan");
    }
  return drain (store, &choose_failed, pool, plan->retire_failed, "replaced",
                "it could not be made: another takes its place", error)
         && drain (store, &choose_stale, pool, plan->retire_stale, "outdated",
                   "its template version, size or kind is not the pool's any more", error)
         && drain (store, &choose_extra, pool, plan->retire, "extra", "the pool has more spares than it wants", error);
}

/* Which clones its desktops are, and why not the wanted ones: "" or "linked clones: …". */
static void
note_clone (json_t *status, const UsherRows *head)
{
  const char *why = usher_cell (head, 0, 8), *reason = usher_json_string (status, "reason");
  gboolean linked = why != NULL && why[0] != '\0';
  g_autofree char *said = linked ? g_strconcat ("linked clones: ", why, NULL) : g_strdup ("");
  json_object_set_new (status, "clone", json_string (linked ? "linked" : usher_cell_text (head, 0, 7)));
  json_object_set_new (status, "clone_reason", json_string (said));
  if (linked && reason[0] == '\0')
    json_object_set_new (status, "reason", json_string (said));
}

static gboolean
write_pool_status (UsherStore *store, const char *pool, const UsherRows *head, const UsherPoolCounts *counts,
                   const UsherPoolPlan *plan, gint64 draining, GError **error)
{
  const char *rule = plan->reason != NULL ? plan->reason->rule : "",
             *message = plan->reason != NULL ? plan->reason->message : "";
  json_auto_t *status
      = json_pack ("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:s}", "ready", (json_int_t) counts->ready, "outdated",
                   (json_int_t) (counts->stale_ready + counts->stale_making), "making",
                   (json_int_t) (counts->making + plan->create), "assigned", (json_int_t) counts->owned, "failed",
                   (json_int_t) counts->failed, "draining", (json_int_t) draining, "failures",
                   (json_int_t) counts->failures, "rule", rule, "reason", message);
  note_clone (status, head);
  g_autofree char *text = json_dumps (status, JSON_COMPACT);
  return usher_sql_do (store, &write_status, NULL, error, pool, text, rule, message);
}

static gboolean
work_on_pool (UsherStore *store, gpointer data, GError **error)
{
  PoolWork *work = data;
  g_autoptr (UsherRows) head = usher_sql (store, &lock_pool, error, work->pool);
  UsherPoolCounts counts;
  gint64 draining = 0;
  work->again_s = 0;
  if (head == NULL || PQntuples (head) == 0)
    return head != NULL; /* gone, or another broker's just now */
  if (!count (store, work->pool, head, &counts, &draining, error))
    return FALSE;
  g_auto (UsherPoolPlan) plan = work->plan (&counts);
  work->again_s = plan.again_s;
  return carry_out (store, work->pool, &counts, &plan, error)
         && write_pool_status (store, work->pool, head, &counts, &plan, draining, error);
}

gboolean
usher_work_on_pool (UsherStore *store, const char *pool, UsherWorkPlan plan, guint *out_again_s, GError **error)
{
  PoolWork work = { .pool = pool, .plan = plan };
  if (!usher_store_transact (store, work_on_pool, &work, error))
    return FALSE;
  if (work.again_s > 0)
    *out_again_s = (guint) work.again_s;
  return TRUE;
}
