#include "broker/store/desktop_move.h"
#include "broker/store/sql.h"
#include "broker/store/work.h"
#include "common/fault.h"
#include "common/json.h"

/* One broker places at a time, so that no two give away the same memory. */
static const UsherSql lock_placement = { "place-lock", "SELECT pg_try_advisory_xact_lock(7203850492)" };
/* Those somebody waits for first; a handful in a transaction. */
static const UsherSql lock_planned = {
  "place-planned",
  "SELECT id, pool, template, template_version, vcpus, ram_mib, reason, clone = 'instant' FROM desktop WHERE state = 'planned' "
  "ORDER BY owner IS NULL, created_at FOR NO KEY UPDATE SKIP LOCKED",
};
/* What a host was given and does not count in its figures yet: all that it has not started. */
static const UsherSql find_hosts = {
  "place-hosts",
  "SELECT h.id, h.name, h.spec->>'mode' = 'active', coalesce(extract(epoch FROM now() - h.last_seen)::bigint, -1), "
  "h.cpus, h.memory_mib, h.memory_free_mib, h.disk_free_mib, to_jsonb(h.templates), coalesce(x.pending, 0), "
  "coalesce(x.ram, 0), h.parents, h.fetches FROM host h LEFT JOIN (SELECT host, count(*) AS pending, "
  "sum(ram_mib)::bigint AS ram FROM "
  "desktop WHERE host IS NOT NULL AND state = 'provisioning' AND coalesce(seen_state, 'absent') IN ('absent', "
  "'creating') GROUP BY host) x ON x.host = h.id ORDER BY h.name",
};
static const UsherSql count_of_pool = {
  "place-of-pool",
  "SELECT host, pool, count(*) FROM desktop WHERE host IS NOT NULL AND state NOT IN ('draining', 'gone') GROUP BY "
  "host, pool",
};
static const UsherSql write_reason = {
  "place-reason",
  "UPDATE desktop SET reason = $3, obstacles = $4::jsonb, history = usher_note("
  "CASE WHEN history->-1->>'rule' = $2 THEN history - -1 ELSE history END, $2, $3) "
  "WHERE id = $1::uuid AND (reason, obstacles) IS DISTINCT FROM ($3, $4::jsonb)",
};

typedef struct {
  UsherWorkChoose choose;
  UsherRows *rows; /* of find_hosts */
  UsherPlacementHost *hosts;
  GStrv *templates;    /* of each host, as the next two */
  json_t **parents, **fetches;
  GHashTable *of_pool; /* "HOST POOL" → count */
  guint placed, left;  /* the outcome */
} Placement;

static char *
pool_key (const char *host, const char *pool)
{
  return g_strconcat (host, " ", pool, NULL);
}

static void
placement_clear (Placement *placement)
{
  int n = placement->rows != NULL ? PQntuples (placement->rows) : 0;
  for (int i = 0; placement->templates != NULL && i < n; i++)
    {
      g_strfreev (placement->templates[i]);
      json_decref (placement->parents[i]);
      json_decref (placement->fetches[i]);
    }
  g_clear_pointer (&placement->parents, g_free);
  g_clear_pointer (&placement->fetches, g_free);
  g_clear_pointer (&placement->templates, g_free);
  g_clear_pointer (&placement->hosts, g_free);
  g_clear_pointer (&placement->of_pool, g_hash_table_unref);
  g_clear_pointer (&placement->rows, PQclear);
}

static gboolean
gather (UsherStore *store, Placement *placement, GError **error)
{
  g_autoptr (UsherRows) counts = usher_sql (store, &count_of_pool, error);
  placement->rows = counts != NULL ? usher_sql (store, &find_hosts, error) : NULL;
  if (placement->rows == NULL)
    return FALSE;

  UsherRows *rows = placement->rows;
  int n = PQntuples (rows);
  placement->hosts = g_new0 (UsherPlacementHost, n);
  placement->templates = g_new0 (GStrv, n);
  placement->parents = g_new0 (json_t *, n);
  placement->fetches = g_new0 (json_t *, n);
  placement->of_pool = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  for (int i = 0; i < n; i++)
    {
      placement->hosts[i] = (UsherPlacementHost){
        .id = usher_cell_text (rows, i, 0),
        .name = usher_cell_text (rows, i, 1),
        .active = usher_cell_bool (rows, i, 2),
        .silent_s = usher_cell_int (rows, i, 3),
        .cpus = usher_cell_int (rows, i, 4),
        .memory_mib = usher_cell_int (rows, i, 5),
        .memory_free_mib = usher_cell_int (rows, i, 6),
        .disk_free_mib = usher_cell_int (rows, i, 7),
        .pending = usher_cell_int (rows, i, 9),
        .pending_ram_mib = usher_cell_int (rows, i, 10),
      };
      placement->templates[i] = usher_cell_list (rows, i, 8);
      placement->parents[i] = usher_cell_json (rows, i, 11);
      placement->fetches[i] = usher_cell_json (rows, i, 12);
    }
  for (int i = 0; i < PQntuples (counts); i++)
    g_hash_table_insert (placement->of_pool, pool_key (usher_cell_text (counts, i, 0), usher_cell_text (counts, i, 1)),
                         GINT_TO_POINTER ((int) usher_cell_int (counts, i, 2)));
  return TRUE;
}

/* Whether a parent or a fetch is of the template version "NAME/VERSION". */
static gboolean
is_of (const json_t *one, const char *label)
{
  const json_t *template = json_object_get (one, "template");
  g_autofree char *own = g_strdup_printf ("%s/%" G_GINT64_FORMAT, usher_json_string (template, "name"),
                                          usher_json_int (template, "version"));
  return g_str_equal (own, label);
}

static UsherPlacementParent
parent_state (const char *state)
{
  return g_str_equal (state, "ready")    ? USHER_PLACEMENT_PARENT_READY
         : g_str_equal (state, "unable") ? USHER_PLACEMENT_PARENT_UNABLE
                                         : USHER_PLACEMENT_PARENT_BUILDING;
}

static void
look_at_parents (UsherPlacementHost *host, const json_t *parents, const UsherPlacementWish *wish)
{
  size_t i;
  json_t *one;
  host->parent = USHER_PLACEMENT_PARENT_NONE;
  host->parents_mib = 0;
  json_array_foreach (parents, i, one)
    {
      UsherPlacementParent state = parent_state (usher_json_string (one, "state"));
      gint64 ram_mib = usher_json_int (one, "ram_mib");
      if (state == USHER_PLACEMENT_PARENT_BUILDING)
        host->parents_mib += ram_mib;
      if (is_of (one, wish->template_label) && usher_json_int (one, "vcpus") == wish->vcpus && ram_mib == wish->ram_mib)
        host->parent = state;
    }
}

static void
look_at_fetches (UsherPlacementHost *host, const json_t *fetches, const char *label)
{
  size_t i;
  json_t *one;
  host->fetching = FALSE;
  json_array_foreach (fetches, i, one)
    if (is_of (one, label))
      {
        host->fetching = TRUE;
        host->fetched = usher_json_int (one, "received") * 100 / MAX (usher_json_int (one, "size"), 1);
        host->fetch_problem = usher_json_string (one, "reason");
      }
}

/* What the hosts look like to this desktop. */
static void
look (Placement *placement, const char *pool, const UsherPlacementWish *wish)
{
  for (int i = 0; i < PQntuples (placement->rows); i++)
    {
      UsherPlacementHost *host = &placement->hosts[i];
      g_autofree char *key = pool_key (host->id, pool);
      host->has_template = g_strv_contains ((const char *const *) placement->templates[i], wish->template_label);
      look_at_parents (host, placement->parents[i], wish);
      look_at_fetches (host, placement->fetches[i], wish->template_label);
      host->of_pool = GPOINTER_TO_INT (g_hash_table_lookup (placement->of_pool, key));
    }
}

static gboolean
refuse (UsherStore *store, const char *desktop, GPtrArray *reasons, GError **error)
{
  g_autoptr (GString) text = g_string_new ("no host can take it: ");
  const UsherReason *first = reasons->len > 0 ? reasons->pdata[0] : NULL;
  json_auto_t *obstacles = json_array ();
  for (guint i = 0; i < reasons->len; i++)
    {
      const UsherReason *reason = reasons->pdata[i];
      g_string_append_printf (text, "%s%s", i > 0 ? "; " : "", reason->message);
      json_array_append_new (obstacles, json_pack ("{s:s, s:s}", "rule", reason->rule, "message", reason->message));
    }
  g_autofree char *json = json_dumps (obstacles, JSON_COMPACT);
  return usher_sql_do (store, &write_reason, NULL, error, desktop, first != NULL ? first->rule : "hosts", text->str,
                       json);
}

static gboolean
place (UsherStore *store, Placement *placement, const char *desktop, const char *pool, const UsherPlacementWish *wish,
       GError **error)
{
  g_autoptr (GPtrArray) reasons = usher_reasons_new ();
  gssize best;
  look (placement, pool, wish);
  best = placement->choose (wish, placement->hosts, (gsize) PQntuples (placement->rows), reasons);
  if (best < 0)
    {
      placement->left++;
      return refuse (store, desktop, reasons, error);
    }
  UsherPlacementHost *host = &placement->hosts[best];
  g_autofree char *message = g_strdup_printf ("placed on host %s", host->name);
  UsherDesktopMove move = { .id = desktop,
                            .from = USHER_DESKTOP_PLANNED,
                            .to = USHER_DESKTOP_PROVISIONING,
                            .host = host->id,
                            .rule = "placed",
                            .message = message };
  if (!usher_desktop_move (store, &move, error))
    return FALSE;
  USHER_FAULT_POINT ("controllers.place");
  host->pending++;
  host->pending_ram_mib += wish->ram_mib;
  g_hash_table_insert (placement->of_pool, pool_key (host->id, pool), GINT_TO_POINTER ((int) host->of_pool + 1));
  placement->placed++;
  return TRUE;
}

static gboolean
place_all (UsherStore *store, gpointer data, GError **error)
{
  Placement *placement = data;
  g_autoptr (UsherRows) lock = usher_sql (store, &lock_placement, error), planned = NULL;
  placement->placed = placement->left = 0;
  if (lock == NULL || !usher_cell_bool (lock, 0, 0))
    return lock != NULL;
  planned = usher_sql (store, &lock_planned, error);
  if (planned == NULL || PQntuples (planned) == 0)
    return planned != NULL;
  placement_clear (placement);
  if (!gather (store, placement, error))
    return FALSE;
  for (int row = 0; row < PQntuples (planned); row++)
    {
      g_autofree char *label
          = g_strdup_printf ("%s/%s", usher_cell_text (planned, row, 2), usher_cell_text (planned, row, 3));
      UsherPlacementWish wish = { label, usher_cell_int (planned, row, 4), usher_cell_int (planned, row, 5),
                                  usher_cell_bool (planned, row, 7) };
      if (!place (store, placement, usher_cell_text (planned, row, 0), usher_cell_text (planned, row, 1), &wish, error))
        return FALSE;
    }
  return TRUE;
}

gboolean
usher_work_place (UsherStore *store, UsherWorkChoose choose, guint *out_placed, guint *out_left, GError **error)
{
  Placement placement = { .choose = choose };
  gboolean good = usher_store_transact (store, place_all, &placement, error);
  placement_clear (&placement);
  if (!good)
    return FALSE;
  *out_placed = placement.placed;
  *out_left = placement.left;
  return TRUE;
}
