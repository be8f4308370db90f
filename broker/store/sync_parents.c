#include "broker/store/sync_parents.h"

#include "policies/parents.h"

static char *
take_text (json_t *list)
{
  char *text = json_dumps (list, JSON_COMPACT);
  json_decref (list);
  return text;
}

char *
usher_sync_parents_text (const UsherSyncRequest *request)
{
  return take_text (usher_sync_parents_to_json (request->parents));
}

char *
usher_sync_fetches_text (const UsherSyncRequest *request)
{
  return take_text (usher_sync_fetches_to_json (request->fetches));
}

/* What instant clones are wanted of on host $1: of pools that somebody may get a desktop of, and of desktops being made there. */
static const UsherSql find_candidates = {
  "wanted-parents",
  "SELECT h.memory_mib, c.template, c.version, c.vcpus, c.ram_mib, c.wanted, c.making FROM host h CROSS JOIN ("
  "SELECT template, version, vcpus, ram_mib, sum(wanted)::bigint AS wanted, bool_or(making) AS making FROM ("
  "SELECT v.template, v.template_version AS version, v.vcpus, v.ram_mib, "
  "(p.spec->>'spares')::bigint + coalesce(here.n, 0) AS wanted, false AS making "
  "FROM pool p JOIN pool_wants v ON v.pool = p.id LEFT JOIN (SELECT pool, count(*) AS n FROM desktop WHERE host = $1::uuid "
  "AND state NOT IN ('draining', 'gone') GROUP BY pool) here ON here.pool = p.id WHERE NOT p.deleting "
  "AND v.clone = 'instant' AND EXISTS (SELECT FROM host WHERE id = $1::uuid AND spec->>'mode' = 'active') "
  "AND ((p.spec->>'spares')::bigint > 0 OR EXISTS (SELECT FROM entitlement e WHERE e.pool = p.id) "
  "OR EXISTS (SELECT FROM desktop d WHERE d.pool = p.id)) "
  "UNION ALL SELECT template, template_version, vcpus, ram_mib, 0, true FROM desktop WHERE host = $1::uuid "
  "AND clone = 'instant' AND (state = 'provisioning' OR (state NOT IN ('draining', 'gone') "
  "AND seen_system_revision < system_revision))) x GROUP BY 1, 2, 3, 4) c WHERE h.id = $1::uuid",
};
enum { MEMORY, TEMPLATE, VERSION, VCPUS, RAM, WANTED, MAKING };

static UsherParentKey *
key_of (const UsherParentCandidate *candidate)
{
  UsherParentKey *key = g_new0 (UsherParentKey, 1);
  key->template_name = g_strdup (candidate->template_name);
  key->template_version = candidate->template_version;
  key->vcpus = candidate->vcpus;
  key->ram_mib = candidate->ram_mib;
  return key;
}

gboolean
usher_sync_add_parents (UsherStore *store, const char *host, GPtrArray *into, GError **error)
{
  g_autoptr (UsherRows) rows = usher_sql (store, &find_candidates, error, host);
  if (rows == NULL)
    return FALSE;
  gsize n = (gsize) PQntuples (rows);
  g_autofree UsherParentCandidate *all = g_new0 (UsherParentCandidate, n);
  for (gsize i = 0; i < n; i++)
    all[i] = (UsherParentCandidate){ .template_name = usher_cell_text (rows, (int) i, TEMPLATE),
                                     .template_version = usher_cell_int (rows, (int) i, VERSION),
                                     .vcpus = usher_cell_int (rows, (int) i, VCPUS),
                                     .ram_mib = usher_cell_int (rows, (int) i, RAM),
                                     .wanted = usher_cell_int (rows, (int) i, WANTED),
                                     .making = usher_cell_bool (rows, (int) i, MAKING) };
  gsize kept = n > 0 ? usher_parents_choose (usher_cell_int (rows, 0, MEMORY), all, n) : 0;
  for (gsize i = 0; i < kept; i++)
    g_ptr_array_add (into, key_of (&all[i]));
  return TRUE;
}
