#include "broker/store/desktop_view.h"

#include "common/json.h"
#include "policies/placement.h"

/* The columns, from the first one on. */
enum {
  ID,
  NAME,
  POOL,
  STATE,
  REASON,
  SINCE,
  SEEN_STATE,
  SEEN_REASON,
  ELAPSED,
  ETA,
  HOST,
  SILENT,
  WAS_READY,
  RESTARTING,
  OBSTACLES,
  REFRESHING,
  ASSIGNMENT,
};

/* What its owner is told while it does not answer. */
static char *
why (const UsherDesktopView *view, const UsherEtaView *eta, const UsherRows *rows, int row, int column)
{
  const char *reason = usher_cell_text (rows, row, column + REASON),
             *seen_reason = usher_cell_text (rows, row, column + SEEN_REASON);
  switch (view->state)
    {
    case USHER_DESKTOP_PLANNED:
    case USHER_DESKTOP_DRAINING:
    case USHER_DESKTOP_GONE:
      return g_strdup (reason);
    case USHER_DESKTOP_FAILED:
      return g_strdup_printf ("it could not be started: %s", seen_reason[0] != '\0' ? seen_reason : reason);
    default:
      break;
    }
  if (view->silent)
    return g_strdup_printf ("its host %s does not report: its state is unknown",
                            usher_cell_text (rows, row, column + HOST));
  if (usher_cell_bool (rows, row, column + RESTARTING))
    return g_strdup ("it is being restarted");
  if (usher_cell_bool (rows, row, column + REFRESHING))
    return g_strdup ("it gets a fresh system; your data stays");
  if (eta->parent != NULL && seen_reason[0] == '\0')
    return g_strdup_printf ("host %s makes its template ready, once for all desktops of this kind",
                            usher_cell_text (rows, row, column + HOST));
  return g_strdup (seen_reason[0] != '\0' ? seen_reason : "it is starting");
}

/* Obstacles, none of which goes by waiting. */
static gboolean
is_stuck (const json_t *obstacles)
{
  size_t i;
  json_t *one;
  json_array_foreach (obstacles, i, one)
    if (g_str_equal (usher_json_string (one, "rule"), USHER_PLACEMENT_COMING))
      return FALSE;
  return json_array_size (obstacles) > 0;
}

UsherDesktopView *
usher_desktop_view_read (const UsherRows *rows, int row, int column)
{
  UsherDesktopView *view = g_new0 (UsherDesktopView, 1);
  json_auto_t *times = usher_cell_json (rows, row, column + ETA);
  UsherEtaView eta = usher_eta_view_read (times, usher_cell_int (rows, row, column + ELAPSED));
  gboolean seen_ready = g_strcmp0 (usher_cell (rows, row, column + SEEN_STATE), usher_seen_state_name (USHER_SEEN_READY)) == 0;

  g_strlcpy (view->id, usher_cell_text (rows, row, column + ID), USHER_ID_SIZE);
  if (!usher_desktop_state_parse (usher_cell_text (rows, row, column + STATE), &view->state))
    view->state = USHER_DESKTOP_GONE;
  view->silent = usher_cell_bool (rows, row, column + SILENT);
  view->was_ready = usher_cell_bool (rows, row, column + WAS_READY);
  view->ready = (view->state == USHER_DESKTOP_ASSIGNED || view->state == USHER_DESKTOP_SPARE) && seen_ready
                && !view->silent && !usher_cell_bool (rows, row, column + RESTARTING)
                && !usher_cell_bool (rows, row, column + REFRESHING);
  view->obstacles = usher_cell_json (rows, row, column + OBSTACLES);
  view->stuck = is_stuck (view->obstacles);
  view->eta_s = view->ready ? 0 : eta.eta_s;
  view->soon = eta.instant;
  view->why = view->ready ? g_strdup ("") : why (view, &eta, rows, row, column);
  view->document = json_pack ("{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:s}", "id", view->id, "name",
                              usher_cell_text (rows, row, column + NAME), "pool", usher_cell_text (rows, row, column + POOL),
                              "assignment", usher_cell_text (rows, row, column + ASSIGNMENT), "state",
                              usher_desktop_state_name (view->state), "reason", view->why, "eta_s",
                              view->ready ? json_null () : json_integer (view->eta_s), "since",
                              usher_cell_text (rows, row, column + SINCE));
  return view;
}

void
usher_desktop_view_free (UsherDesktopView *view)
{
  if (view == NULL)
    return;
  g_free (view->why);
  json_decref (view->obstacles);
  json_decref (view->document);
  g_free (view);
}
