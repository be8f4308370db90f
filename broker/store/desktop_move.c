#include "broker/store/desktop_move.h"

#include "broker/store/sql.h"
#include "common/fault.h"
#include "common/log.h"

static const UsherSql move_desktop = {
  "move-desktop",
  "UPDATE desktop SET state = $3, reason = $5, obstacles = '[]', since = now(), history = usher_note(history, $4, $5), "
  "owner = coalesce($6::uuid, owner), host = coalesce($7::uuid, host), "
  "placed_at = CASE WHEN $3 = 'provisioning' THEN now() ELSE placed_at END, "
  "ready_at = CASE WHEN $3 IN ('spare', 'assigned') THEN coalesce(ready_at, now()) ELSE ready_at END "
  "WHERE id = $1::uuid AND state = $2",
};

gboolean
usher_desktop_move (UsherStore *store, const UsherDesktopMove *move, GError **error)
{
  const char *from = usher_desktop_state_name (move->from), *to = usher_desktop_state_name (move->to);
  gint64 count = 0;
  if (!usher_desktop_state_may_move (move->from, move->to))
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_INTERNAL, "desktop %s: no move from %s to %s", move->id, from, to);
      return FALSE;
    }
  if (!usher_sql_do (store, &move_desktop, &count, error, move->id, from, to, move->rule, move->message, move->owner,
                     move->host))
    return FALSE;
  if (count == 0)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_CONFLICT, "desktop %s is not %s any more", move->id, from);
      return FALSE;
    }
  UsherLogContext context = { .desktop = move->id, .host = move->host };
  usher_log (USHER_LOG_INFO, &context, "desktop %s → %s: %s", from, to, move->message);
  USHER_FAULT_POINT ("store.desktop-move");
  return TRUE;
}

static const UsherSql lock_state = { "lock-desktop-state", "SELECT state FROM desktop WHERE id = $1::uuid FOR UPDATE" };

gboolean
usher_desktop_drain (UsherStore *store, const char *id, const char *rule, const char *message, GError **error)
{
  g_autoptr (UsherRows) rows = usher_sql (store, &lock_state, error, id);
  UsherDesktopMove move = { .id = id, .to = USHER_DESKTOP_DRAINING, .rule = rule, .message = message };
  if (rows == NULL)
    return FALSE;
  if (PQntuples (rows) == 0 || !usher_desktop_state_parse (usher_cell_text (rows, 0, 0), &move.from)
      || !usher_desktop_state_is_live (move.from))
    return TRUE;
  return usher_desktop_move (store, &move, error);
}

static const UsherSql move_session = {
  "move-session",
  "UPDATE session SET state = $3, reason = $5, since = now(), history = usher_note(history, $4, $5) "
  "WHERE id = $1::uuid AND state = $2",
};

gboolean
usher_session_move (UsherStore *store, const char *id, UsherSessionState from, UsherSessionState to, const char *rule,
                    const char *message, GError **error)
{
  const char *old = usher_session_state_name (from), *new = usher_session_state_name (to);
  gint64 count = 0;
  if (!usher_session_state_may_move (from, to))
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_INTERNAL, "session %s: no move from %s to %s", id, old, new);
      return FALSE;
    }
  if (!usher_sql_do (store, &move_session, &count, error, id, old, new, rule, message))
    return FALSE;
  if (count == 0)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_CONFLICT, "session %s is not %s any more", id, old);
      return FALSE;
    }
  UsherLogContext context = { .session = id };
  usher_log (USHER_LOG_INFO, &context, "session %s → %s: %s", old, new, message);
  USHER_FAULT_POINT ("store.session-move");
  return TRUE;
}
