/* Inside of broker/store/: parents of instant clones and template versions on their way, in the sync. */
#pragma once
#include "broker/store/sql.h"
#include "common/rpc/sync.h"

/* The report's parents and fetches as JSON texts; owned by the caller. */
char *usher_sync_parents_text (const UsherSyncRequest *request);
char *usher_sync_fetches_text (const UsherSyncRequest *request);

/* A JSON array of what instant clones are wanted of on host $1, for usher_sync_choose_parents(): pools that somebody may
 * get a desktop of, and desktops that are being made there, perhaps from an older version. */
#define USHER_SYNC_CANDIDATES                                                                                          \
  "(SELECT coalesce(jsonb_agg(to_jsonb(c)), '[]') FROM (SELECT template, version, vcpus, ram_mib, "                    \
  "sum(wanted)::bigint AS wanted, bool_or(making) AS making FROM (SELECT v.template, v.template_version AS "           \
  "version, v.vcpus, v.ram_mib, (p.spec->>'spares')::bigint + coalesce(here.n, 0) AS wanted, false AS making FROM"     \
  " pool p JOIN pool_wants v ON v.pool = p.id LEFT JOIN (SELECT pool, count(*) AS n FROM desktop WHERE host = "        \
  "$1::uuid AND state NOT IN ('draining', 'gone') GROUP BY pool) here ON here.pool = p.id WHERE NOT p.deleting "       \
  "AND v.clone = 'instant' AND EXISTS (SELECT FROM host WHERE id = $1::uuid AND spec->>'mode' = 'active') AND "        \
  "((p.spec->>'spares')::bigint > 0 OR EXISTS (SELECT FROM entitlement e WHERE e.pool = p.id) OR EXISTS (SELECT "      \
  "FROM desktop d WHERE d.pool = p.id)) UNION ALL SELECT template, template_version, vcpus, ram_mib, 0, true FROM"     \
  " desktop WHERE host = $1::uuid AND clone = 'instant' AND (state = 'provisioning' OR (state NOT IN ('draining',"     \
  " 'gone') AND seen_system_revision < system_revision))) x GROUP BY 1, 2, 3, 4) c)"

/* Adds to `into` (of UsherParentKey) those of the candidates that a host with `memory_mib` keeps. */
void usher_sync_choose_parents (const json_t *candidates, gint64 memory_mib, GPtrArray *into);
