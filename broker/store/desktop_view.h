/* Inside of broker/store/: a desktop as its owner sees it (DESKTOP of docs/protocols.md). */
#pragma once
#include "broker/store/sql.h"
#include "policies/desktop_state.h"

/* The columns that usher_desktop_view_read() wants, in a query with desktop d, pool p and (left joined) host h. */
#define USHER_DESKTOP_VIEW_COLUMNS                                                                                     \
  "d.id, d.name, p.name, d.state, d.reason, usher_time(d.since), d.seen_state, d.seen_reason, "                        \
  "extract(epoch FROM now() - coalesce(CASE WHEN d.ready_at IS NULL THEN d.placed_at END, d.since))::bigint, "         \
  "to_jsonb(p.made_s), h.name, coalesce(h.last_seen < now() - interval '30 seconds', d.host IS NOT NULL), "            \
  "d.ready_at IS NOT NULL, d.seen_restart_revision < d.restart_revision, d.obstacles"

typedef struct {
  char id[USHER_ID_SIZE];
  UsherDesktopState state;
  gboolean ready;     /* it answers now */
  gboolean silent;    /* its host does not report: nothing is known of it */
  gboolean was_ready; /* it answered once */
  guint eta_s;        /* 0 when ready */
  char *why;          /* for its owner; "" when ready */
  json_t *obstacles;  /* what keeps a planned one from being placed: [{"rule","message"}…] */
  json_t *document;   /* DESKTOP */
} UsherDesktopView;

/* Reads row `row` from column `column` on. */
UsherDesktopView *usher_desktop_view_read (const UsherRows *rows, int row, int column);

/* The estimate from pool.made_s (a JSON array) after `elapsed_s`. */
guint usher_desktop_view_eta (const json_t *made_s, gint64 elapsed_s);

void usher_desktop_view_free (UsherDesktopView *view);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherDesktopView, usher_desktop_view_free)
