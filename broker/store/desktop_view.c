#include "broker/store/desktop_view.h"

#include "policies/eta.h"

guint
usher_desktop_view_eta (const json_t *made_s, gint64 elapsed_s)
{
  gint64 times[USHER_ETA_TIMES_MAX];
  gsize n = MIN (json_array_size (made_s), USHER_ETA_TIMES_MAX);
  for (gsize i = 0; i < n; i++)
    times[i] = json_integer_value (json_array_get (made_s, i));
  return usher_eta_estimate (times, n, elapsed_s);
}

/* What its owner is told while it does not answer. */
static char *
why (const UsherDesktopView *view, const UsherRows *rows, int row, int column)
{
  const char *reason = usher_cell_text (rows, row, column + 4), *seen_reason = usher_cell_text (rows, row, column + 7);
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
                            usher_cell_text (rows, row, column + 10));
  if (usher_cell_bool (rows, row, column + 13))
    return g_strdup ("it is being restarted");
  return g_strdup (seen_reason[0] != '\0' ? seen_reason : "it is starting");
}

UsherDesktopView *
usher_desktop_view_read (const UsherRows *rows, int row, int column)
{
  UsherDesktopView *view = g_new0 (UsherDesktopView, 1);
  json_auto_t *made_s = usher_cell_json (rows, row, column + 9);
  gboolean seen_ready = g_strcmp0 (usher_cell (rows, row, column + 6), usher_seen_state_name (USHER_SEEN_READY)) == 0;

  g_strlcpy (view->id, usher_cell_text (rows, row, column), USHER_ID_SIZE);
  if (!usher_desktop_state_parse (usher_cell_text (rows, row, column + 3), &view->state))
    view->state = USHER_DESKTOP_GONE;
  view->silent = usher_cell_bool (rows, row, column + 11);
  view->was_ready = usher_cell_bool (rows, row, column + 12);
  view->ready = (view->state == USHER_DESKTOP_ASSIGNED || view->state == USHER_DESKTOP_SPARE) && seen_ready
                && !view->silent && !usher_cell_bool (rows, row, column + 13);
  view->obstacles = usher_cell_json (rows, row, column + 14);
  view->eta_s = view->ready ? 0 : usher_desktop_view_eta (made_s, usher_cell_int (rows, row, column + 8));
  view->why = view->ready ? g_strdup ("") : why (view, rows, row, column);
  view->document = json_pack ("{s:s, s:s, s:s, s:s, s:s, s:o, s:s}", "id", view->id, "name",
                              usher_cell_text (rows, row, column + 1), "pool", usher_cell_text (rows, row, column + 2),
                              "state", usher_desktop_state_name (view->state), "reason", view->why, "eta_s",
                              view->ready ? json_null () : json_integer (view->eta_s), "since",
                              usher_cell_text (rows, row, column + 5));
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
