#include "broker/store/audit_add.h"
#include "broker/store/desktop_move.h"
#include "broker/store/desktop_view.h"
#include "broker/store/people.h"
#include "broker/store/work.h"
#include "common/fault.h"
#include "common/secret.h"
#include "policies/pool_plan.h"

#define TICKET_S 120
#define CONSOLE_S 600 /* how long the VM takes the console secret: gateways open further channels with it */
#define UP "h.last_seen > now() - interval '30 seconds'"
/* What is nobody's and may be had: in a pool that is full nothing else is left. Never one that promises something else of its
 * end than the pool does. */
#define TAKEABLE                                                                                                       \
  "(d.assignment = (SELECT w.assignment FROM pool_wants w WHERE w.pool = d.pool) AND (d.state IN ('planned', "         \
  "'provisioning') OR (d.state = 'spare' AND d.seen_state = 'ready' AND " UP ")))"

/* The person's row is the lock that makes connects of one person come one after the other. */
static const UsherSql enter = {
  "connect-enter",
  "SELECT o.name, p.id, p.name, "
  "EXISTS (SELECT FROM entitlement e WHERE e.pool = p.id AND e.key = ANY (o.keys)), " USHER_SQL_QUIET " "
  "FROM person o LEFT JOIN pool p ON p.name = $2 AND NOT p.deleting WHERE o.id = $1::uuid FOR NO KEY UPDATE OF o",
};
static const UsherSql lock_own = {
  "connect-own",
  "SELECT " USHER_DESKTOP_VIEW_COLUMNS " FROM desktop d JOIN pool p ON p.id = d.pool LEFT JOIN host h ON h.id = d.host "
  "WHERE d.owner = $1::uuid AND d.pool = $2::uuid AND d.state NOT IN ('draining', 'gone') FOR NO KEY UPDATE OF d",
};
static const UsherSql lock_spare = {
  "connect-spare",
  "SELECT d.id FROM desktop d JOIN pool_wants v ON v.pool = d.pool JOIN host h ON h.id = d.host WHERE d.pool = $1::uuid "
  "AND d.state = 'spare' AND d.owner IS NULL AND d.assignment = v.assignment AND d.seen_state = 'ready' AND " UP " ORDER "
  "BY d.template_version = v.template_version DESC, d.ready_at LIMIT 1 FOR NO KEY UPDATE OF d SKIP LOCKED",
};
static const UsherSql take_making = {
  "connect-making",
  "UPDATE desktop SET owner = $2::uuid, history = usher_note(history, 'assigned', $3) WHERE id = (SELECT id FROM "
  "desktop WHERE pool = $1::uuid AND owner IS NULL AND state IN ('planned', 'provisioning') AND assignment = (SELECT assignment "
  "FROM pool_wants WHERE pool = $1::uuid) ORDER BY state DESC, "
  "placed_at, created_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED) RETURNING id",
};
/* One that nobody has, waiting for whoever works on it just now: only for a pool that has no room for another. */
static const UsherSql lock_last = {
  "connect-last",
  "SELECT d.id, d.state FROM desktop d LEFT JOIN host h ON h.id = d.host WHERE d.pool = $1::uuid AND d.owner IS NULL "
  "AND " TAKEABLE " ORDER BY d.state DESC, d.created_at LIMIT 1 FOR NO KEY UPDATE OF d",
};
static const UsherSql count_takeable = {
  "connect-takeable",
  "SELECT (SELECT count(*) FROM desktop x WHERE x.pool = p.id AND x.state NOT IN ('draining', 'gone')) >= "
  "(p.spec->>'maximum')::bigint, (SELECT count(*) FROM desktop d LEFT JOIN host h ON h.id = d.host WHERE d.pool = p.id "
  "AND d.owner IS NULL AND " TAKEABLE ") FROM pool p WHERE p.id = $1::uuid",
};
static const UsherSql own_making = {
  "connect-own-making",
  "UPDATE desktop SET owner = $2::uuid, history = usher_note(history, 'assigned', $3) WHERE id = $1::uuid",
};
static const UsherSql lock_pool = { "connect-pool", "SELECT FROM pool WHERE id = $1::uuid FOR NO KEY UPDATE" };
static const UsherSql count_pool = {
  "connect-count",
  "SELECT (p.spec->>'maximum')::bigint, p.failures, extract(epoch FROM now() - p.failed_at)::bigint, (SELECT count(*) "
  "FROM desktop d WHERE d.pool = p.id AND d.state NOT IN ('draining', 'gone')), p.failure "
  "FROM pool p WHERE p.id = $1::uuid",
};
static const UsherSql offer = {
  "connect-offer",
  "WITH d AS (UPDATE desktop SET console_revision = console_revision + 1, console_secret = decode($2, 'hex'), "
  "console_valid_until = now() + $3::bigint * interval '1 second' WHERE id = $1::uuid RETURNING id, name), "
  "s AS (INSERT INTO session (desktop, desktop_name, pool, person, client) "
  "SELECT d.id, d.name, $4, $5::uuid, $6 FROM d RETURNING id), "
  "t AS (INSERT INTO ticket (hash, session, expires_at) "
  "SELECT $7, s.id, now() + $8::bigint * interval '1 second' FROM s), "
  "a AS (INSERT INTO audit (actor, address, request, action, outcome, kind, object_id, object, message) "
  "SELECT $9, $10, $11, 'connect', 'ok', 'desktop', d.id::text, d.name, 'session ' || s.id FROM d, s) "
  "SELECT id FROM s",
};

typedef struct {
  const UsherActor *actor;
  const char *person, *pool_name, *client;
  /* found on the way */
  char pool[USHER_ID_SIZE];
  char *user;
  gboolean taken; /* a desktop became the person's in this transaction */
  UsherConnect *connect;
  json_t *reasons;
} Connect;

static void
add_reason (Connect *in, const char *rule, const char *message)
{
  json_array_append_new (in->reasons, json_pack ("{s:s, s:s}", "rule", rule, "message", message));
}

static gboolean
check_entitlement (UsherStore *store, Connect *in, GError **error)
{
  g_autoptr (UsherRows) rows = usher_sql (store, &enter, error, in->person, in->pool_name);
  if (rows == NULL)
    return FALSE;
  if (PQntuples (rows) == 0)
    {
      g_set_error_literal (error, USHER_ERROR, USHER_ERROR_UNAUTHENTICATED, "sign in first");
      return FALSE;
    }
  if (usher_cell (rows, 0, 1) == NULL)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_MISSING, "there is no pool \"%s\"", in->pool_name);
      return FALSE;
    }
  if (!usher_cell_bool (rows, 0, 3))
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_REFUSED, "%s is not entitled to the pool \"%s\"",
                   usher_cell_text (rows, 0, 0), in->pool_name);
      add_reason (in, "entitlement", "neither you nor a group you are in is entitled to this pool");
      return FALSE;
    }
  g_strlcpy (in->pool, usher_cell_text (rows, 0, 1), USHER_ID_SIZE);
  g_free (in->user);
  in->user = g_strdup (usher_cell_text (rows, 0, 0));
  return TRUE;
}

static UsherDesktopView *
find_own_desktop (UsherStore *store, Connect *in, GError **error)
{
  g_autoptr (UsherRows) rows = usher_sql (store, &lock_own, error, in->person, in->pool);
  return rows != NULL && PQntuples (rows) > 0 ? usher_desktop_view_read (rows, 0, 0) : NULL;
}

static gboolean
assign_spare (UsherStore *store, Connect *in, const char *desktop, GError **error)
{
  g_autofree char *message = g_strdup_printf ("%s took this spare", in->user);
  UsherDesktopMove move = { .id = desktop,
                            .from = USHER_DESKTOP_SPARE,
                            .to = USHER_DESKTOP_ASSIGNED,
                            .owner = in->person,
                            .rule = "assigned",
                            .message = message };
  in->taken = TRUE;
  return usher_desktop_move (store, &move, error);
}

static gboolean
take_spare (UsherStore *store, Connect *in, GError **error)
{
  g_autoptr (UsherRows) rows = usher_sql (store, &lock_spare, error, in->pool);
  if (rows == NULL || PQntuples (rows) == 0)
    return rows != NULL;
  return assign_spare (store, in, usher_cell_text (rows, 0, 0), error);
}

static gboolean
take_one_being_made (UsherStore *store, Connect *in, GError **error)
{
  g_autofree char *message = g_strdup_printf ("%s waits for it", in->user);
  g_autoptr (UsherRows) rows = usher_sql (store, &take_making, error, in->pool, in->person, message);
  in->taken = rows != NULL && PQntuples (rows) > 0;
  return rows != NULL;
}

static gboolean
own_one_being_made (UsherStore *store, Connect *in, const char *desktop, GError **error)
{
  g_autofree char *message = g_strdup_printf ("%s waits for it", in->user);
  in->taken = TRUE;
  return usher_sql_do (store, &own_making, NULL, error, desktop, in->person, message);
}

/* In a pool without room: what the ways before passed over, because the controllers or a report held it just then. */
static gboolean
take_last (UsherStore *store, Connect *in, GError **error)
{
  for (;;)
    {
      g_autoptr (UsherRows) counts = usher_sql (store, &count_takeable, error, in->pool), rows = NULL;
      if (counts == NULL || !usher_cell_bool (counts, 0, 0) || usher_cell_int (counts, 0, 1) == 0)
        return counts != NULL;
      rows = usher_sql (store, &lock_last, error, in->pool);
      if (rows == NULL)
        return FALSE;
      if (PQntuples (rows) == 0)
        continue; /* somebody else got that one: each round there is one less */
      return g_str_equal (usher_cell_text (rows, 0, 1), "spare")
                 ? assign_spare (store, in, usher_cell_text (rows, 0, 0), error)
                 : own_one_being_made (store, in, usher_cell_text (rows, 0, 0), error);
    }
}

/* A new one for the person, unless the pool is full or making desktops goes wrong just now. */
static gboolean
plan_one (UsherStore *store, Connect *in, GError **error)
{
  g_autoptr (UsherRows) rows = NULL;
  g_autofree char *message = NULL;
  if (!usher_sql_do (store, &lock_pool, NULL, error, in->pool))
    return FALSE;
  /* A spare may have been planned meanwhile, by whoever held the lock. */
  gboolean good = take_last (store, in, error);
  if (!good || in->taken)
    return good;
  rows = usher_sql (store, &count_pool, error, in->pool);
  if (rows == NULL)
    return FALSE;
  gint64 maximum = usher_cell_int (rows, 0, 0), live = usher_cell_int (rows, 0, 3);
  gint64 wait_s = usher_pool_back_off (usher_cell_int (rows, 0, 1), usher_cell_int (rows, 0, 2));
  if (wait_s > 0)
    message = g_strdup_printf ("the last desktop could not be made (%s): the next is tried in %d s",
                               usher_cell_text (rows, 0, 4), (int) wait_s);
  else if (live >= maximum)
    message = g_strdup_printf ("all %d desktops of this pool are in use", (int) maximum);
  if (message != NULL)
    {
      add_reason (in, wait_s > 0 ? "back-off" : "maximum", message);
      g_set_error (error, USHER_ERROR, USHER_ERROR_EXHAUSTED, "no desktop can be had now: %s", message);
      return FALSE;
    }
  g_autofree char *why = g_strdup_printf ("%s asked for a desktop and no spare was ready", in->user);
  in->taken = TRUE;
  return usher_work_plan_desktop (store, in->pool, in->person, why, error);
}

/* The person's desktop of the pool, from before or from now on. */
static UsherDesktopView *
get_desktop (UsherStore *store, Connect *in, GError **error)
{
  static gboolean (*const ways[]) (UsherStore *, Connect *, GError **)
      = { take_spare, take_one_being_made, take_last, plan_one };
  g_autoptr (GError) local = NULL;
  UsherDesktopView *view = find_own_desktop (store, in, &local);
  for (gsize i = 0; view == NULL && local == NULL && i < G_N_ELEMENTS (ways); i++)
    if (ways[i](store, in, &local) && in->taken)
      view = find_own_desktop (store, in, &local);
  if (view == NULL && local == NULL)
    g_set_error_literal (&local, USHER_ERROR, USHER_ERROR_CONFLICT, "the desktop changed hands meanwhile");
  if (local != NULL)
    g_propagate_error (error, g_steal_pointer (&local));
  return view;
}

/* A desktop that will not answer by waiting: says what would change the answer. */
static gboolean
check_hope (Connect *in, const UsherDesktopView *view, GError **error)
{
  gboolean failed = view->state == USHER_DESKTOP_FAILED, silent = view->silent && view->was_ready;
  if (view->stuck)
    {
      json_array_extend (in->reasons, view->obstacles);
      g_set_error (error, USHER_ERROR, USHER_ERROR_EXHAUSTED, "no desktop can be had now: %s", view->why);
      return FALSE;
    }
  if (!failed && !silent)
    return TRUE;
  add_reason (in, failed ? "failed" : "silent", view->why);
  g_set_error (error, USHER_ERROR, failed ? USHER_ERROR_EXHAUSTED : USHER_ERROR_UNAVAILABLE,
               "your desktop does not answer: %s", view->why);
  return FALSE;
}

static gboolean
make_offer (UsherStore *store, Connect *in, const UsherDesktopView *view, GError **error)
{
  g_autoptr (UsherSecret) secret = usher_secret_new_token ();
  g_autoptr (GBytes) sealed = usher_console_key_seal (usher_store_get_key (store), secret);
  g_autoptr (GString) hex = g_string_new (NULL);
  g_autoptr (UsherRows) rows = NULL;
  g_autofree char *name = usher_audit_clean (in->actor->name), *address = usher_audit_clean (in->actor->address);
  g_autofree char *request = usher_audit_clean (in->actor->request);
  char hash[USHER_TOKEN_HASH_SIZE];
  gsize length;
  const guint8 *bytes = g_bytes_get_data (sealed, &length);

  for (gsize i = 0; i < length; i++)
    g_string_append_printf (hex, "%02x", bytes[i]);
  usher_token_new (in->connect->ticket);
  usher_token_hash (in->connect->ticket, hash);
  rows = usher_sql (store, &offer, error, view->id, hex->str, usher_number (CONSOLE_S).text, in->pool_name, in->person,
                    in->client, hash, usher_number (TICKET_S).text, name, address, request);
  if (rows == NULL)
    return FALSE;
  g_strlcpy (in->connect->session, usher_cell_text (rows, 0, 0), USHER_ID_SIZE);
  in->connect->expires_in_s = TICKET_S;
  return TRUE;
}

/* An offer audits itself; asking again while nothing happens is not worth a line. */
static gboolean
audit_assignment (UsherStore *store, const Connect *in, const UsherDesktopView *view, GError **error)
{
  UsherAuditLine line = { .action = "assign",
                          .outcome = "ok",
                          .kind = "desktop",
                          .id = view->id,
                          .object = json_string_value (json_object_get (view->document, "name")) };
  return view->ready || !in->taken || usher_audit_add (store, in->actor, &line, error);
}

static gboolean
connect_in_transaction (UsherStore *store, gpointer data, GError **error)
{
  Connect *in = data;
  g_autoptr (UsherDesktopView) view = NULL;
  json_array_clear (in->reasons);
  in->taken = FALSE;
  if (!check_entitlement (store, in, error))
    return FALSE;
  view = get_desktop (store, in, error);
  USHER_FAULT_POINT ("store.connect");
  if (view == NULL || !check_hope (in, view, error) || (view->ready && !make_offer (store, in, view, error))
      || !audit_assignment (store, in, view, error))
    return FALSE;
  in->connect->ready = view->ready;
  in->connect->eta_s = view->eta_s;
  in->connect->retry_after_ms = view->ready ? 0 : CLAMP (view->eta_s * 100, view->soon ? 100 : 500, 2000);
  json_decref (in->connect->desktop);
  in->connect->desktop = json_incref (view->document);
  if (in->taken || view->ready)
    usher_store_announce (store, USHER_KIND_BIT (USHER_KIND_DESKTOP) | USHER_KIND_BIT (USHER_KIND_SESSION));
  return TRUE;
}

UsherConnect *
usher_store_connect (UsherStore *store, const UsherActor *actor, const char *person, const char *pool,
                     const char *client, json_t **out_reasons, GError **error)
{
  g_autoptr (UsherConnect) connect = g_new0 (UsherConnect, 1);
  g_autofree char *user = NULL;
  json_auto_t *reasons = json_array ();
  Connect in = {
    .actor = actor, .person = person, .pool_name = pool, .client = client, .connect = connect, .reasons = reasons
  };
  GError *local = NULL;
  gboolean good = usher_store_transact (store, connect_in_transaction, &in, &local);
  user = in.user;
  if (good)
    return g_steal_pointer (&connect);

  UsherAuditLine line = { .action = "connect", .kind = "pool", .id = in.pool, .object = pool };
  usher_audit_refusal (store, actor, &line, local);
  if (out_reasons != NULL && json_array_size (reasons) > 0)
    *out_reasons = json_incref (reasons);
  g_propagate_error (error, local);
  return NULL;
}

static const UsherSql find_version = {
  "connect-version",
  "SELECT coalesce(max(d.resource_version), 0) FROM desktop d JOIN pool p ON p.id = d.pool WHERE d.owner = $1::uuid AND "
  "p.name = $2",
};

gboolean
usher_store_connect_version (UsherStore *store, const char *person, const char *pool, gint64 *out_version, GError **error)
{
  g_autoptr (UsherRows) rows = usher_sql (store, &find_version, error, person, pool);
  if (rows != NULL)
    *out_version = usher_cell_int (rows, 0, 0);
  return rows != NULL;
}

void
usher_connect_free (UsherConnect *connect)
{
  if (connect == NULL)
    return;
  json_decref (connect->desktop);
  g_free (connect);
}
