#include "broker/store/desktop_move.h"
#include "broker/store/sql.h"
#include "broker/store/work.h"
#include "common/fault.h"

/* Sessions that are over, and why. An offer outlives its ticket a little; a gateway that died tells nothing, so a
 * session that connects for long is over, and so is one whose desktop no longer is that person's. */
static const UsherSql choose_over = {
  "sessions-over",
  "SELECT s.id, s.state, CASE WHEN d.id IS NULL OR d.state IN ('draining', 'gone') OR d.owner IS DISTINCT FROM "
  "s.person THEN 'the desktop is gone' WHEN s.created_at < d.refreshed_at THEN 'the desktop got a fresh system' "
  "WHEN s.state = 'offered' THEN 'the ticket was not used in time' WHEN s.state = "
  "'connecting' THEN 'the gateway never reported it as active' ELSE 'disconnected for a long time' END FROM session s "
  "LEFT JOIN desktop d ON d.id = s.desktop WHERE s.state <> 'ended' AND (d.id IS NULL OR d.state IN ('draining', "
  "'gone') OR d.owner IS DISTINCT FROM s.person OR s.created_at < d.refreshed_at OR "
  "(s.state = 'offered' AND s.since < now() - interval '130 seconds') "
  "OR (s.state = 'connecting' AND s.since < now() - interval '120 seconds') OR (s.state = 'disconnected' AND s.since "
  "< now() - interval '12 hours')) LIMIT 200 FOR UPDATE OF s SKIP LOCKED",
};

static gboolean
end_sessions (UsherStore *store, gpointer data, GError **error)
{
  guint *ended = data;
  g_autoptr (UsherRows) rows = usher_sql (store, &choose_over, error);
  *ended = 0;
  for (int row = 0; rows != NULL && row < PQntuples (rows); row++)
    {
      UsherSessionState from = USHER_SESSION_ENDED;
      usher_session_state_parse (usher_cell_text (rows, row, 1), &from);
      if (!usher_session_move (store, usher_cell_text (rows, row, 0), from, USHER_SESSION_ENDED, "over",
                               usher_cell_text (rows, row, 2), error))
        return FALSE;
      ++*ended;
    }
  USHER_FAULT_POINT ("controllers.sessions");
  return rows != NULL;
}

gboolean
usher_work_end_sessions (UsherStore *store, guint *out_ended, GError **error)
{
  return usher_store_transact (store, end_sessions, out_ended, error);
}

static const UsherSql choose_unplaced = {
  "desktops-unplaced",
  "SELECT id FROM desktop WHERE state = 'draining' AND host IS NULL FOR UPDATE SKIP LOCKED",
};
static const UsherSql drop_gone = { "desktops-drop-gone", "DELETE FROM desktop WHERE state = 'gone'" };

static gboolean
drop_unplaced (UsherStore *store, gpointer data, GError **error)
{
  g_autoptr (UsherRows) rows = usher_sql (store, &choose_unplaced, error);
  (void) data;
  for (int row = 0; rows != NULL && row < PQntuples (rows); row++)
    {
      UsherDesktopMove move = { .id = usher_cell_text (rows, row, 0),
                                .from = USHER_DESKTOP_DRAINING,
                                .to = USHER_DESKTOP_GONE,
                                .rule = "gone",
                                .message = "it was never placed on a host" };
      if (!usher_desktop_move (store, &move, error))
        return FALSE;
    }
  return rows != NULL && (PQntuples (rows) == 0 || usher_sql_do (store, &drop_gone, NULL, error));
}

gboolean
usher_work_drop_unplaced (UsherStore *store, GError **error)
{
  return usher_store_transact (store, drop_unplaced, NULL, error);
}

static const UsherSql mark_silent = {
  "hosts-silent",
  "UPDATE host SET silent = last_seen < now() - interval '30 seconds' "
  "WHERE last_seen IS NOT NULL AND silent IS DISTINCT FROM (last_seen < now() - interval '30 seconds')",
};

gboolean
usher_work_mark_silent (UsherStore *store, GError **error)
{
  return usher_sql_do (store, &mark_silent, NULL, error);
}

static const UsherSql forget[] = {
  { "forget-web-sessions", "DELETE FROM web_session WHERE expires_at < now() - interval '1 day'" },
  { "forget-attempts", "DELETE FROM attempt WHERE at < now() - interval '1 hour'" },
  { "forget-tokens", "DELETE FROM join_token WHERE expires_at < now() - interval '30 days'" },
  { "forget-sessions", "DELETE FROM session WHERE state = 'ended' AND since < now() - interval '30 days'" },
  { "forget-tickets", "DELETE FROM ticket WHERE expires_at < now() - interval '1 hour'" },
  { "forget-tombstones",
    "WITH d AS (DELETE FROM deleted WHERE at < now() - interval '1 hour' RETURNING resource_version) UPDATE "
    "deployment SET forgotten = greatest(forgotten, (SELECT max(resource_version) FROM d)) WHERE EXISTS (SELECT FROM "
    "d)" },
};

gboolean
usher_work_forget (UsherStore *store, GError **error)
{
  for (gsize i = 0; i < G_N_ELEMENTS (forget); i++)
    if (!usher_sql_do (store, &forget[i], NULL, error))
      return FALSE;
  return TRUE;
}

static const UsherSql last_audit = { "audit-last", "SELECT coalesce(max(seq), 0) FROM audit" };
static const UsherSql announce = { "audit-announce", "SELECT pg_notify('usher', 'audit')" };

gboolean
usher_work_announce_audit (UsherStore *store, gint64 *seq, GError **error)
{
  g_autoptr (UsherRows) rows = usher_sql (store, &last_audit, error);
  if (rows == NULL)
    return FALSE;
  gint64 last = usher_cell_int (rows, 0, 0), before = *seq;
  if (before != 0 && last > before && !usher_sql_do (store, &announce, NULL, error))
    return FALSE;
  *seq = last;
  return TRUE;
}
