/* What becomes of desktops whose people have left: carried out here, decided in policies/leaving. */
#include <string.h>

#include "broker/store/audit_add.h"
#include "broker/store/desktop_move.h"
#include "broker/store/refresh.h"
#include "broker/store/sql.h"
#include "broker/store/work.h"
#include "common/fault.h"

/* $1: of this person only; $2: this desktop only. Sessions from before a fresh system are none of it. */
#define LEFT                                                                                                           \
  "SELECT d.id, d.name, o.name, d.assignment, coalesce(w.signed_out, false), "                                         \
  "EXISTS (SELECT FROM session s WHERE s.desktop = d.id AND s.gateway <> '' AND s.created_at > "                       \
  "coalesce(d.refreshed_at, '-infinity')), EXISTS (SELECT FROM session s WHERE s.desktop = d.id AND s.created_at > "   \
  "coalesce(d.refreshed_at, '-infinity') AND s.state IN ('offered', 'connecting', 'active')), "                        \
  "extract(epoch FROM now() - greatest(d.since, w.ended, (SELECT max(s.since) FROM session s WHERE s.desktop = "       \
  "d.id)))::bigint, v.linger_s FROM desktop d JOIN pool_wants v ON v.pool = d.pool JOIN person o ON o.id = d.owner "   \
  "LEFT JOIN LATERAL (SELECT signed_out, least(revoked_at, expires_at) AS ended FROM web_session x WHERE x.person = "  \
  "d.owner ORDER BY 2 DESC LIMIT 1) w ON true WHERE d.owner IS NOT NULL AND d.assignment <> 'dedicated' AND d.state "  \
  "NOT IN ('draining', 'gone') AND ($1::uuid IS NULL OR d.owner = $1::uuid) AND ($2::uuid IS NULL OR d.id = $2::uuid) " \
  "AND NOT EXISTS (SELECT FROM web_session x WHERE x.person = d.owner AND x.revoked_at IS NULL AND x.expires_at > now())"
enum { ID, NAME, PERSON, ASSIGNMENT, SIGNED_OUT, USED, IN_USE, IDLE, LINGER };

static const UsherSql find_left = { "leave-find", LEFT };
static const UsherSql lock_left = { "leave-lock", LEFT " FOR NO KEY UPDATE OF d" };

static UsherLeavingPlan
ask (const UsherRows *rows, int row, UsherWorkLeaving decide)
{
  UsherLeaving leaving = { .signed_out = usher_cell_bool (rows, row, SIGNED_OUT),
                           .used = usher_cell_bool (rows, row, USED),
                           .in_use = usher_cell_bool (rows, row, IN_USE),
                           .idle_s = usher_cell_int (rows, row, IDLE),
                           .linger_s = usher_cell_int (rows, row, LINGER) };
  if (!usher_assignment_parse (usher_cell_text (rows, row, ASSIGNMENT), &leaving.assignment))
    leaving.assignment = USHER_ASSIGNMENT_DEDICATED;
  return decide (&leaving);
}

static gboolean
carry_out (UsherStore *store, const UsherActor *actor, const UsherRows *rows, int row, const UsherLeavingPlan *plan,
           GError **error)
{
  const char *id = usher_cell_text (rows, row, ID);
  gboolean wipe = plan->act == USHER_LEAVING_WIPE;
  g_autofree char *message = g_strdup_printf ("%s %s: %s", usher_cell_text (rows, row, PERSON), plan->why,
                                              wipe ? "it is wiped" : "it gets a fresh system");
  UsherAuditLine line = { .action = wipe ? "wipe" : "refresh",
                          .outcome = "ok",
                          .kind = "desktop",
                          .id = id,
                          .object = usher_cell_text (rows, row, NAME),
                          .message = message };
  gint64 count = 1;
  if (wipe ? !usher_desktop_drain (store, id, "left", message, error)
           : !usher_desktop_refresh (store, id, message, &count, error))
    return FALSE;
  USHER_FAULT_POINT ("store.leave");
  return count == 0 || usher_audit_add (store, actor, &line, error);
}

gboolean
usher_work_leave_person (UsherStore *store, const UsherActor *actor, const char *person, UsherWorkLeaving decide, GError **error)
{
  g_autoptr (UsherRows) rows = usher_sql (store, &lock_left, error, person, NULL);
  for (int row = 0; rows != NULL && row < PQntuples (rows); row++)
    {
      UsherLeavingPlan plan = ask (rows, row, decide);
      if (plan.act != USHER_LEAVING_KEEP && !carry_out (store, actor, rows, row, &plan, error))
        return FALSE;
    }
  return rows != NULL;
}

/* ---- those who did not say goodbye ---- */

typedef struct {
  const char *desktop;
  UsherWorkLeaving decide;
} Leave;

static gboolean
leave_one (UsherStore *store, gpointer data, GError **error)
{
  const Leave *leave = data;
  const UsherActor broker = { NULL, NULL, NULL };
  g_autoptr (UsherRows) rows = usher_sql (store, &lock_left, error, NULL, leave->desktop);
  if (rows == NULL || PQntuples (rows) == 0)
    return rows != NULL; /* somebody is back */
  UsherLeavingPlan plan = ask (rows, 0, leave->decide);
  return plan.act == USHER_LEAVING_KEEP || carry_out (store, &broker, rows, 0, &plan, error);
}

gboolean
usher_work_leave (UsherStore *store, UsherWorkLeaving decide, guint *out_again_s, GError **error)
{
  g_autoptr (UsherRows) rows = usher_sql (store, &find_left, error, NULL, NULL);
  gint64 again_s = 0;
  for (int row = 0; rows != NULL && row < PQntuples (rows); row++)
    {
      UsherLeavingPlan plan = ask (rows, row, decide);
      Leave leave = { usher_cell_text (rows, row, ID), decide };
      if (plan.act != USHER_LEAVING_KEEP && !usher_store_transact (store, leave_one, &leave, error))
        return FALSE;
      if (plan.again_s > 0)
        again_s = again_s == 0 ? plan.again_s : MIN (again_s, plan.again_s);
    }
  if (again_s > 0)
    *out_again_s = (guint) again_s;
  return rows != NULL;
}
