#include <string.h>

#include "broker/store/desktop_move.h"
#include "broker/store/hosts.h"
#include "broker/store/sql.h"
#include "broker/store/sync_parents.h"
#include "broker/store/versions.h"
#include "common/fault.h"
#include "common/log.h"

/* ---- what the host says ---- */

/* A report that changes nothing but the time is not worth waiting for the disk. */
static const UsherSql see_host = {
  "host-seen",
  "UPDATE host SET last_seen = now(), silent = false, version = $2, domain_type = $3, door = $4, cpus = $5::bigint, "
  "memory_mib = $6::bigint, memory_free_mib = $7::bigint, disk_free_mib = $8::bigint, "
  "templates = ARRAY(SELECT jsonb_array_elements_text($9::jsonb) ORDER BY 1), "
  "parents = usher_parents(parents, $10::jsonb), fetches = $11::jsonb "
  "WHERE id = $1::uuid RETURNING (SELECT id FROM deployment), name",
};
#define DESKTOP_COLUMNS \
  "SELECT id, state, owner IS NOT NULL, seen_state, seen_reason, seen_console_revision, seen_restart_revision, " \
  "seen_starts, pool, ready_at IS NOT NULL, seen_clone, seen_clone_reason, seen_system_revision FROM " \
  "desktop WHERE host = $1::uuid "
static const UsherSql find_desktops = { "host-desktops", DESKTOP_COLUMNS };
static const UsherSql lock_desktops = {
  "host-desktops-lock",
  DESKTOP_COLUMNS "AND id IN (SELECT jsonb_array_elements_text($2::jsonb)::uuid) ORDER BY id FOR NO KEY UPDATE",
};
enum {
  ID,
  STATE,
  OWNED,
  SEEN_STATE,
  SEEN_REASON,
  SEEN_CONSOLE,
  SEEN_RESTART,
  SEEN_STARTS,
  POOL,
  WAS_READY,
  SEEN_CLONE,
  SEEN_CLONE_REASON,
  SEEN_SYSTEM,
};
static const UsherSql see_desktop = {
  "desktop-seen",
  "UPDATE desktop SET seen_state = $2, seen_reason = $3, seen_console_revision = $4::bigint, seen_restart_revision = "
  "$5::bigint, seen_starts = $6::bigint, seen_clone = $7, seen_clone_reason = $8, seen_system_revision = $9::bigint "
  "WHERE id = $1::uuid",
};
static const UsherSql drop_desktop = { "desktop-drop", "DELETE FROM desktop WHERE id = $1::uuid AND state = 'gone'" };
/* The pool learns from what was made, and from what could not be. */
static const UsherSql note_made = {
  "pool-made",
  "WITH d AS (SELECT greatest(1, extract(epoch FROM now() - placed_at)::bigint) AS s, seen_clone = 'instant' AS instant "
  "FROM desktop WHERE id = $2::uuid) UPDATE pool SET failures = 0, made_s = CASE WHEN d.instant THEN made_s ELSE "
  "(made_s || d.s)[greatest(1, cardinality(made_s) - 8):] END, made_instant_s = CASE WHEN d.instant THEN (made_instant_s "
  "|| d.s)[greatest(1, cardinality(made_instant_s) - 8):] ELSE made_instant_s END FROM d WHERE id = $1::uuid",
};
static const UsherSql note_failed = {
  "pool-failed",
  "UPDATE pool SET failures = failures + 1, failed_at = now(), failure = $2 WHERE id = $1::uuid",
};

typedef struct {
  const char *host;
  const UsherSyncRequest *request;
} Report;

/* The figures as they were committed last are good enough when only they changed. */
static gboolean
take_host (UsherStore *store, const Report *report, GError **error)
{
  const UsherSyncRequest *request = report->request;
  g_autofree char *templates = usher_list_json ((const char *const *) request->templates);
  g_autofree char *parents = usher_sync_parents_text (request), *fetches = usher_sync_fetches_text (request);
  g_autoptr (UsherRows) rows
      = usher_sql (store, &see_host, error, report->host, request->version, request->domain_type, request->door,
                   usher_number (request->cpus).text, usher_number (request->memory_mib).text,
                   usher_number (request->memory_free_mib).text, usher_number (request->disk_free_mib).text, templates,
                   parents, fetches);
  if (rows == NULL)
    return FALSE;
  if (PQntuples (rows) == 0)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_MISSING, "there is no host %s", report->host);
      return FALSE;
    }
  if (g_strcmp0 (request->deployment, usher_cell_text (rows, 0, 0)) != 0)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_REFUSED, "host %s belongs to deployment %s, this is %s",
                   usher_cell_text (rows, 0, 1), request->deployment, usher_cell_text (rows, 0, 0));
      return FALSE;
    }
  return TRUE;
}

static const char *
text_of (const char *maybe)
{
  return maybe != NULL ? maybe : "";
}

static gboolean
is_news (const UsherRows *rows, int row, const UsherSeenDesktop *seen)
{
  return g_strcmp0 (usher_cell (rows, row, SEEN_STATE), usher_seen_state_name (seen->state)) != 0
         || strcmp (usher_cell_text (rows, row, SEEN_REASON), text_of (seen->reason)) != 0
         || usher_cell_int (rows, row, SEEN_CONSOLE) != seen->console_revision
         || usher_cell_int (rows, row, SEEN_RESTART) != seen->restart_revision
         || usher_cell_int (rows, row, SEEN_STARTS) != seen->starts
         || strcmp (usher_cell_text (rows, row, SEEN_CLONE), usher_clone_kind_name (seen->clone)) != 0
         || strcmp (usher_cell_text (rows, row, SEEN_CLONE_REASON), text_of (seen->clone_reason)) != 0
         || usher_cell_int (rows, row, SEEN_SYSTEM) != seen->system_revision;
}

static const char *
reason_of_move (UsherDesktopState to, const UsherSeenDesktop *seen)
{
  if (seen->reason != NULL && seen->reason[0] != '\0')
    return seen->reason;
  return to == USHER_DESKTOP_SPARE      ? "it answers; nobody's yet"
         : to == USHER_DESKTOP_ASSIGNED ? "it answers"
                                        : "its host says so";
}

/* Where the host's word puts the desktop; FALSE where it is already. */
static gboolean
find_move (const UsherRows *rows, int row, const UsherSeenDesktop *seen, UsherDesktopMove *out)
{
  if (!usher_desktop_state_parse (usher_cell_text (rows, row, STATE), &out->from))
    return FALSE;
  out->to = usher_desktop_state_after (out->from, usher_cell_bool (rows, row, OWNED), seen->state);
  return out->to != out->from;
}

static gboolean
follow (UsherStore *store, const UsherRows *rows, int row, const UsherSeenDesktop *seen, GError **error)
{
  const char *id = usher_cell_text (rows, row, ID), *pool = usher_cell_text (rows, row, POOL);
  UsherDesktopMove move = { .id = id, .rule = usher_seen_state_name (seen->state) };
  if (!find_move (rows, row, seen, &move))
    return TRUE;
  move.message = reason_of_move (move.to, seen);
  if (!usher_desktop_move (store, &move, error))
    return FALSE;
  if (move.to == USHER_DESKTOP_GONE)
    return usher_sql_do (store, &drop_desktop, NULL, error, id);
  if (usher_cell_bool (rows, row, WAS_READY))
    return TRUE;
  if (move.to == USHER_DESKTOP_FAILED)
    return usher_sql_do (store, &note_failed, NULL, error, pool, move.message);
  if (move.to == USHER_DESKTOP_SPARE || move.to == USHER_DESKTOP_ASSIGNED)
    return usher_sql_do (store, &note_made, NULL, error, pool, id);
  return TRUE;
}

static gboolean
take_desktop (UsherStore *store, const UsherRows *rows, int row, const UsherSeenDesktop *seen, GError **error)
{
  if (!is_news (rows, row, seen))
    return follow (store, rows, row, seen, error); /* the state may have moved since */
  return usher_sql_do (store, &see_desktop, NULL, error, seen->id, usher_seen_state_name (seen->state),
                       text_of (seen->reason), usher_number (seen->console_revision).text,
                       usher_number (seen->restart_revision).text, usher_number (seen->starts).text,
                       usher_clone_kind_name (seen->clone), text_of (seen->clone_reason),
                       usher_number (seen->system_revision).text)
         && follow (store, rows, row, seen, error);
}

static GHashTable *
seen_by_id (const UsherSyncRequest *request)
{
  GHashTable *seen = g_hash_table_new (g_str_hash, g_str_equal);
  for (guint i = 0; i < request->desktops->len; i++)
    {
      UsherSeenDesktop *desktop = request->desktops->pdata[i];
      g_hash_table_insert (seen, desktop->id, desktop);
    }
  return seen;
}

/* Ids, as a JSON array, of the desktops of which the report says something new: mostly few of many, and only those are locked. */
static char *
find_changed (const UsherRows *rows, GHashTable *seen)
{
  g_autoptr (GPtrArray) changed = g_ptr_array_new ();
  UsherDesktopMove move;
  for (int row = 0; row < PQntuples (rows); row++)
    {
      const UsherSeenDesktop *desktop = g_hash_table_lookup (seen, usher_cell_text (rows, row, ID));
      if (desktop != NULL && (is_news (rows, row, desktop) || find_move (rows, row, desktop, &move)))
        g_ptr_array_add (changed, (gpointer) desktop->id);
    }
  if (changed->len == 0)
    return NULL;
  g_ptr_array_add (changed, NULL);
  return usher_list_json ((const char *const *) changed->pdata);
}

static gboolean
take_report (UsherStore *store, gpointer data, GError **error)
{
  const Report *report = data;
  g_autoptr (GHashTable) seen = seen_by_id (report->request);
  if (!take_host (store, report, error))
    return FALSE;
  USHER_FAULT_POINT ("store.seen");
  g_autoptr (UsherRows) all = usher_sql (store, &find_desktops, error, report->host);
  if (all == NULL)
    return FALSE;
  g_autofree char *changed = find_changed (all, seen);
  if (changed == NULL)
    return TRUE;
  g_autoptr (UsherRows) rows = usher_sql (store, &lock_desktops, error, report->host, changed);
  for (int row = 0; rows != NULL && row < PQntuples (rows); row++)
    {
      const UsherSeenDesktop *desktop = g_hash_table_lookup (seen, usher_cell_text (rows, row, ID));
      if (desktop != NULL && !take_desktop (store, rows, row, desktop, error))
        return FALSE;
    }
  return rows != NULL;
}

gboolean
usher_store_seen (UsherStore *store, const char *host, const UsherSyncRequest *request, GError **error)
{
  Report report = { host, request };
  return usher_store_transact (store, take_report, &report, error);
}

/* ---- what it should hold ---- */

static const UsherSql is_newer = {
  "wanted-newer",
  "SELECT h.wanted_version > $2::bigint OR EXISTS (SELECT FROM desktop d WHERE d.host = h.id AND d.wanted_version > "
  "$2::bigint) OR (SELECT wanted_version FROM deployment) > $2::bigint FROM host h WHERE h.id = $1::uuid",
};
static const UsherSql find_wanted = {
  "wanted",
  "SELECT usher_horizon(), (SELECT id FROM deployment), h.spec->>'mode' = 'drain', d.id, d.name, d.state, d.template, "
  "d.template_version, d.vcpus, d.ram_mib, d.restart_revision, d.console_revision, CASE WHEN d.console_valid_until > "
  "now() THEN encode(d.console_secret, 'hex') END, extract(epoch FROM d.console_valid_until)::bigint, d.clone, "
  "d.system_revision, d.data_gib, o.name FROM host h LEFT JOIN desktop d ON d.host = h.id LEFT JOIN person o ON o.id = d.owner WHERE h.id = $1::uuid "
  "ORDER BY d.created_at, d.id",
};
enum {
  HORIZON,
  DEPLOYMENT,
  DRAINING,
  W_ID,
  W_NAME,
  W_STATE,
  TEMPLATE,
  TEMPLATE_VERSION,
  VCPUS,
  RAM,
  RESTART,
  CONSOLE,
  SECRET,
  VALID,
  CLONE,
  SYSTEM,
  DATA,
  OWNER,
};

static UsherWantedDesktop *
wanted_desktop (UsherStore *store, const UsherRows *rows, int row)
{
  UsherWantedDesktop *wanted = g_new0 (UsherWantedDesktop, 1);
  UsherDesktopState state = USHER_DESKTOP_GONE;
  const char *hex = usher_cell (rows, row, SECRET);
  char *secret;
  g_autoptr (GError) error = NULL;

  usher_desktop_state_parse (usher_cell_text (rows, row, W_STATE), &state);
  g_strlcpy (wanted->id, usher_cell_text (rows, row, W_ID), USHER_ID_SIZE);
  wanted->name = g_strdup (usher_cell_text (rows, row, W_NAME));
  wanted->wanted = usher_desktop_state_is_live (state) ? USHER_WANTED_RUNNING : USHER_WANTED_GONE;
  wanted->template_name = g_strdup (usher_cell_text (rows, row, TEMPLATE));
  wanted->template_version = usher_cell_int (rows, row, TEMPLATE_VERSION);
  wanted->vcpus = usher_cell_int (rows, row, VCPUS);
  wanted->ram_mib = usher_cell_int (rows, row, RAM);
  wanted->restart_revision = usher_cell_int (rows, row, RESTART);
  usher_clone_kind_parse (usher_cell_text (rows, row, CLONE), &wanted->clone);
  wanted->system_revision = usher_cell_int (rows, row, SYSTEM);
  wanted->data_gib = usher_cell_int (rows, row, DATA);
  wanted->user = g_strdup (usher_cell_text (rows, row, OWNER));
  if (hex == NULL)
    return wanted;
  secret = usher_console_unseal_hex_text (store, hex, &error);
  if (secret == NULL)
    {
      /* The next connect makes another; until then this desktop has none. */
      UsherLogContext context = { .desktop = wanted->id };
      usher_log (USHER_LOG_ERROR, &context, "%s", error->message);
      return wanted;
    }
  wanted->console_revision = usher_cell_int (rows, row, CONSOLE);
  wanted->console_secret = secret; /* zeroed by usher_wanted_desktop_free() */
  wanted->console_valid_until = usher_cell_int (rows, row, VALID);
  return wanted;
}

/* What the host reports and nobody here knows of is to be gone. */
static void
add_orphans (UsherSyncAnswer *answer, const UsherSyncRequest *request)
{
  g_autoptr (GHashTable) known = g_hash_table_new (g_str_hash, g_str_equal);
  for (guint i = 0; i < answer->desktops->len; i++)
    g_hash_table_add (known, ((UsherWantedDesktop *) answer->desktops->pdata[i])->id);
  for (guint i = 0; request != NULL && i < request->desktops->len; i++)
    {
      const UsherSeenDesktop *seen = request->desktops->pdata[i];
      if (seen->state == USHER_SEEN_ABSENT || g_hash_table_contains (known, seen->id))
        continue;
      UsherWantedDesktop *orphan = g_new0 (UsherWantedDesktop, 1);
      memcpy (orphan->id, seen->id, sizeof orphan->id);
      orphan->wanted = USHER_WANTED_GONE;
      orphan->name = g_strdup ("orphan");
      orphan->template_name = g_strdup ("none");
      g_ptr_array_add (answer->desktops, orphan);
    }
}

static gboolean
no_host (const char *host, GError **error)
{
  g_set_error (error, USHER_ERROR, USHER_ERROR_MISSING, "there is no host %s", host);
  return FALSE;
}

/* Whether there is news after `after`; FALSE with an error set when the host is not there. */
static gboolean
has_news (UsherStore *store, const char *host, gint64 after, gboolean *out_news, GError **error)
{
  g_autoptr (UsherRows) rows = usher_sql (store, &is_newer, error, host, usher_number (after).text);
  if (rows == NULL)
    return FALSE;
  if (PQntuples (rows) == 0)
    return no_host (host, error);
  *out_news = usher_cell_bool (rows, 0, 0);
  return TRUE;
}

gboolean
usher_store_wanted (UsherStore *store, const char *host, const UsherSyncRequest *request, gint64 after,
                    UsherSyncAnswer **out, GError **error)
{
  gboolean news = TRUE;
  g_autoptr (UsherRows) rows = NULL;
  if (after > 0 && !has_news (store, host, after, &news, error))
    return FALSE;
  if (!news)
    return TRUE;
  rows = usher_sql (store, &find_wanted, error, host);
  if (rows == NULL)
    return FALSE;
  if (PQntuples (rows) == 0)
    return no_host (host, error);

  UsherSyncAnswer *answer = usher_sync_answer_new ();
  answer->version = usher_cell_int (rows, 0, HORIZON);
  answer->deployment = g_strdup (usher_cell_text (rows, 0, DEPLOYMENT));
  answer->host = g_strdup (host);
  answer->draining = usher_cell_bool (rows, 0, DRAINING);
  for (int row = 0; row < PQntuples (rows); row++)
    if (usher_cell (rows, row, W_ID) != NULL)
      g_ptr_array_add (answer->desktops, wanted_desktop (store, rows, row));
  add_orphans (answer, request);
  if (!usher_sync_add_parents (store, host, answer->parents, error) || !usher_versions_add_wanted (store, host, answer, error))
    {
      usher_sync_answer_free (answer);
      return FALSE;
    }
  *out = answer;
  return TRUE;
}
