/* Inside of broker/store/: the estimate of policies/eta from what is stored. */
#pragma once
#include "broker/store/sql.h"
#include "policies/eta.h"

/* A JSON object for usher_eta_view_read(), in a query with pool p: `instant` (SQL) whether an instant clone is to come, `parent`
 * (SQL) what is known of its parent. */
#define USHER_ETA_VIEW(instant, parent)                                                                                \
  "jsonb_build_object('linked', p.made_s, 'fast', p.made_instant_s, 'instant', " instant ", 'parent', CASE WHEN " instant \
  " THEN " parent " END)"

typedef struct {
  guint eta_s;
  gboolean instant;      /* it is forked from a parent that is ready */
  const char *parent;    /* what keeps it waiting besides: "building" or "to come"; NULL: nothing; static */
} UsherEtaView;

/* The estimate `elapsed_s` after it was asked for. */
UsherEtaView usher_eta_view_read (const json_t *view, gint64 elapsed_s);
