/* Inside of broker/store/: a desktop as its owner sees it (DESKTOP of docs/protocols.md). */
#pragma once
#include "broker/store/eta_view.h"
#include "broker/store/sql.h"
#include "policies/desktop_state.h"

/* The columns that usher_desktop_view_read() wants, in a query with desktop d, pool p and (left joined) host h. */
#define USHER_DESKTOP_VIEW_COLUMNS                                                                                     \
  "d.id, d.name, p.name, d.state, d.reason, usher_time(d.since), d.seen_state, d.seen_reason, "                        \
  "extract(epoch FROM now() - CASE WHEN d.ready_at IS NULL THEN coalesce(d.placed_at, d.since) ELSE greatest(d.since, " \
  "d.asked_at) END)::bigint, " USHER_ETA_VIEW (USHER_DESKTOP_VIEW_INSTANT, USHER_DESKTOP_VIEW_PARENT) ", h.name, "     \
  "coalesce(h.last_seen < now() - interval '30 seconds', d.host IS NOT NULL), "                                        \
  "d.ready_at IS NOT NULL, d.seen_restart_revision < d.restart_revision, d.obstacles, "                                \
  "d.seen_system_revision < d.system_revision, d.assignment"
/* One that was ready, or is restarted, comes from its own disk. */
#define USHER_DESKTOP_VIEW_INSTANT                                                                                     \
  "(d.clone = 'instant' AND d.seen_clone_reason = '' AND d.seen_restart_revision >= d.restart_revision AND (d.ready_at " \
  "IS NULL OR coalesce(d.asked_at = d.refreshed_at, false)))"
#define USHER_DESKTOP_VIEW_PARENT                                                                                      \
  "CASE WHEN d.host IS NULL THEN usher_best_parent(d.template, d.template_version, d.vcpus, d.ram_mib) ELSE "          \
  "usher_parent(h.parents, d.template, d.template_version, d.vcpus, d.ram_mib) END"

typedef struct {
  char id[USHER_ID_SIZE];
  UsherDesktopState state;
  gboolean ready;     /* it answers now */
  gboolean silent;    /* its host does not report: nothing is known of it */
  gboolean was_ready; /* it answered once */
  guint eta_s;        /* 0 when ready */
  gboolean soon;      /* it is forked from a parent that is ready: it answers in about a second */
  char *why;          /* for its owner; "" when ready */
  gboolean stuck;     /* no host can take it, and waiting alone does not help */
  json_t *obstacles;  /* what keeps a planned one from being placed: [{"rule","message"}…] */
  json_t *document;   /* DESKTOP */
} UsherDesktopView;

/* Reads row `row` from column `column` on. */
UsherDesktopView *usher_desktop_view_read (const UsherRows *rows, int row, int column);

void usher_desktop_view_free (UsherDesktopView *view);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherDesktopView, usher_desktop_view_free)
