#include "broker/store/sign_in.h"

#include <string.h>

#include "broker/store/audit_add.h"
#include "broker/store/spec.h"
#include "broker/store/sql.h"
#include "broker/store/work.h"
#include "common/fault.h"
#include "policies/throttle.h"

/* An attempt that was never settled counts as failed after so long. */
#define UNSETTLED_S "60"
#define FAILED "(failed OR at < now() - interval '" UNSETTLED_S " seconds')"

static const UsherSql count_attempts = {
  "attempts",
  "SELECT count(*) FILTER (WHERE account = $1 AND " FAILED "), "
  "extract(epoch FROM now() - max(at) FILTER (WHERE account = $1 AND " FAILED "))::bigint, "
  "count(*) FILTER (WHERE account = $1 AND NOT " FAILED "), "
  "count(*) FILTER (WHERE address = $2 AND " FAILED "), "
  "extract(epoch FROM now() - max(at) FILTER (WHERE address = $2 AND " FAILED "))::bigint, "
  "count(*) FILTER (WHERE address = $2 AND NOT " FAILED ") "
  "FROM attempt WHERE (account = $1 OR address = $2) AND at > now() - $3::bigint * interval '1 second'",
};
/* A crash may forget the newest attempts: not worth waiting for the disk. */
static const UsherSql add_attempt = {
  "attempt-add",
  "INSERT INTO attempt (account, address) SELECT $1, $2 FROM set_config('synchronous_commit', 'off', true) RETURNING "
  "id",
};
static const UsherSql settle_attempt = {
  "attempt-settle",
  "UPDATE attempt SET failed = true, at = now() WHERE id = (SELECT id FROM attempt WHERE account = $1 AND address = "
  "$2 AND NOT failed ORDER BY id LIMIT 1)",
};
static const UsherSql drop_attempt = {
  "attempt-drop",
  "DELETE FROM attempt WHERE id = (SELECT id FROM attempt WHERE account = $1 AND address = $2 AND NOT failed ORDER BY "
  "id LIMIT 1)",
};

/* One line for an account each ten seconds: whoever is held back may ask as often as they like. */
static const UsherSql audit_throttled = {
  "audit-throttled",
  "INSERT INTO audit (actor, address, request, action, outcome, kind, object, message) "
  "SELECT '', $2, $3, 'signin', 'throttled', 'user', $1, $4 FROM set_config('synchronous_commit', 'off', true) "
  "WHERE NOT EXISTS (SELECT FROM (SELECT outcome, object, at FROM audit ORDER BY seq DESC LIMIT 200) recent "
  "WHERE outcome = 'throttled' AND object = $1 AND at > now() - interval '10 seconds')",
};

static const char *
address_of (const UsherActor *actor)
{
  return actor->address != NULL ? actor->address : "";
}

static UsherThrottleHistory
history_at (const UsherRows *rows, int column)
{
  UsherThrottleHistory history = { usher_cell_int (rows, 0, column), usher_cell_int (rows, 0, column + 1),
                                   usher_cell_int (rows, 0, column + 2) };
  return history;
}

gboolean
usher_store_sign_in_begin (UsherStore *store, const char *user_key, const UsherActor *actor, guint *out_wait_s,
                           GError **error)
{
  gint64 window_s = MAX (usher_throttle_user.window_s, usher_throttle_address.window_s);
  g_autoptr (UsherRows) rows
      = usher_sql (store, &count_attempts, error, user_key, address_of (actor), usher_number (window_s).text);
  if (rows == NULL)
    return FALSE;
  UsherThrottleHistory of_user = history_at (rows, 0), of_address = history_at (rows, 3);
  guint wait_s = MAX (usher_throttle_wait (&usher_throttle_user, &of_user),
                      usher_throttle_wait (&usher_throttle_address, &of_address));
  if (wait_s == 0)
    return usher_sql_do (store, &add_attempt, NULL, error, user_key, address_of (actor));
  g_autofree char *why = g_strdup_printf ("too many sign-ins failed: wait %u s", wait_s);
  g_autofree char *account = usher_audit_clean (user_key), *address = usher_audit_clean (actor->address);
  g_autofree char *request = usher_audit_clean (actor->request);
  if (!usher_sql_do (store, &audit_throttled, NULL, error, account, address, request, why))
    return FALSE;
  *out_wait_s = wait_s;
  g_set_error_literal (error, USHER_ERROR, USHER_ERROR_THROTTLED, why);
  return FALSE;
}

/* ---- yes ---- */

/* All of a sign-in, in one statement. The person's row is written only when something about it changed; failed attempts
 * and this one are forgotten. */
static const UsherSql sign_in = {
  "sign-in",
  "WITH fresh AS (SELECT $1 AS key, $2 AS name, $3 AS display_name, $4 AS dn, "
  "ARRAY(SELECT jsonb_array_elements_text($5::jsonb)) AS groups, "
  "ARRAY(SELECT jsonb_array_elements_text($6::jsonb)) AS group_names, "
  "ARRAY(SELECT jsonb_array_elements_text($7::jsonb)) AS keys), "
  "kept AS (INSERT INTO person AS p (key, name, display_name, dn, groups, group_names, keys) SELECT * FROM fresh "
  "ON CONFLICT (key) DO UPDATE SET name = excluded.name, display_name = excluded.display_name, dn = excluded.dn, "
  "groups = excluded.groups, group_names = excluded.group_names, keys = excluded.keys, signed_in_at = now() "
  "WHERE (p.name, p.display_name, p.dn, p.groups, p.group_names, p.keys) IS DISTINCT FROM "
  "(excluded.name, excluded.display_name, excluded.dn, excluded.groups, excluded.group_names, excluded.keys) "
  "RETURNING id), "
  "who AS (SELECT id FROM kept UNION ALL SELECT id FROM person WHERE key = $1 LIMIT 1), "
  "forgotten AS (DELETE FROM attempt WHERE account = $11 AND (failed OR id = "
  "(SELECT id FROM attempt WHERE account = $11 AND address = $9 AND NOT failed ORDER BY id LIMIT 1))), "
  "line AS (INSERT INTO audit (actor, address, request, action, outcome, kind, object_id, object) "
  "SELECT $2, $9, $12, 'signin', 'ok', 'user', id::text, $2 FROM who) "
  "INSERT INTO web_session (person, hash, address, expires_at) "
  "SELECT id, $8, $9, now() + $10::bigint * interval '1 second' FROM who RETURNING id",
};

gboolean
usher_store_sign_in_done (UsherStore *store, const char *user_key, const UsherPerson *person, const UsherActor *actor,
                          guint ttl_s, char out_token[USHER_TOKEN_SIZE], GError **error)
{
  const char *const *groups = (const char *const *) person->groups;
  const char *const *names = (const char *const *) person->group_names;
  g_autofree char *found = usher_account_name_key (person->name);
  const char *key = found != NULL ? found : person->name;
  g_auto (GStrv) keys = usher_spec_person_keys (key, groups, names);
  g_autofree char *groups_json = usher_list_json (groups), *names_json = usher_list_json (names);
  g_autofree char *keys_json = usher_list_json ((const char *const *) keys);
  g_autofree char *address = usher_audit_clean (actor->address), *request = usher_audit_clean (actor->request);
  char token[USHER_TOKEN_SIZE], hash[USHER_TOKEN_HASH_SIZE];
  gint64 count = 0;

  usher_token_new (token);
  usher_token_hash (token, hash);
  /* None is made when another sign-in made the person's row while this one waited for it: once more then. */
  while (count == 0)
    if (!usher_sql_do (store, &sign_in, &count, error, key, person->name, person->display_name, person->dn, groups_json,
                       names_json, keys_json, hash, address, usher_number (ttl_s).text, user_key, request))
      return FALSE;
  USHER_FAULT_POINT ("store.sign-in");
  memcpy (out_token, token, sizeof token);
  return TRUE;
}

/* ---- not yes ---- */

typedef struct {
  const char *user_key;
  const UsherActor *actor;
  const GError *why;
} Refusal;

static gboolean
refuse (UsherStore *store, gpointer data, GError **error)
{
  Refusal *refusal = data;
  UsherError code = usher_error_code (refusal->why);
  gboolean unknown = code == USHER_ERROR_UNAVAILABLE || code == USHER_ERROR_BUSY || code == USHER_ERROR_INTERNAL;
  UsherAuditLine line = { .action = "signin",
                          .outcome = usher_error_name (code),
                          .kind = "user",
                          .object = refusal->user_key,
                          .message = refusal->why->message };
  return usher_sql_do (store, unknown ? &drop_attempt : &settle_attempt, NULL, error, refusal->user_key,
                       address_of (refusal->actor))
         && usher_audit_add (store, refusal->actor, &line, error);
}

gboolean
usher_store_sign_in_failed (UsherStore *store, const char *user_key, const UsherActor *actor, const GError *why,
                            GError **error)
{
  Refusal refusal = { user_key, actor, why };
  return usher_store_transact (store, refuse, &refusal, error);
}

/* ---- sign-in sessions ---- */

static const UsherSql find_web_session = {
  "web-session-find",
  "SELECT s.id, o.id, o.name, o.display_name, to_jsonb(o.groups), to_jsonb(o.group_names), extract(epoch FROM "
  "s.expires_at)::bigint FROM web_session s JOIN person o ON o.id = s.person WHERE s.hash = $1 AND s.revoked_at IS "
  "NULL AND s.expires_at > now()",
};
static const UsherSql revoke_session = {
  "web-session-revoke",
  "UPDATE web_session SET revoked_at = now(), signed_out = true WHERE id = $1::uuid AND revoked_at IS NULL RETURNING "
  "person",
};
static const UsherSql revoke_all = {
  "web-session-revoke-all",
  "UPDATE web_session SET revoked_at = now() WHERE revoked_at IS NULL AND person = (SELECT id FROM person WHERE key = "
  "$1) RETURNING person",
};

void
usher_signed_in_free (UsherSignedIn *signed_in)
{
  if (signed_in == NULL)
    return;
  g_free (signed_in->user);
  g_free (signed_in->display_name);
  g_strfreev (signed_in->groups);
  g_strfreev (signed_in->group_names);
  g_free (signed_in);
}

UsherSignedIn *
usher_store_find_signed_in (UsherStore *store, const char *token, GError **error)
{
  char hash[USHER_TOKEN_HASH_SIZE];
  g_autoptr (UsherRows) rows = NULL;
  if (usher_token_is_valid (token))
    {
      usher_token_hash (token, hash);
      rows = usher_sql (store, &find_web_session, error, hash);
      if (rows == NULL)
        return NULL;
    }
  if (rows == NULL || PQntuples (rows) == 0)
    {
      g_set_error_literal (error, USHER_ERROR, USHER_ERROR_UNAUTHENTICATED, "sign in first");
      return NULL;
    }
  UsherSignedIn *found = g_new0 (UsherSignedIn, 1);
  g_strlcpy (found->session, usher_cell_text (rows, 0, 0), USHER_ID_SIZE);
  g_strlcpy (found->person, usher_cell_text (rows, 0, 1), USHER_ID_SIZE);
  found->user = g_strdup (usher_cell_text (rows, 0, 2));
  found->display_name = g_strdup (usher_cell_text (rows, 0, 3));
  found->groups = usher_cell_list (rows, 0, 4);
  found->group_names = usher_cell_list (rows, 0, 5);
  found->expires_at = usher_cell_int (rows, 0, 6);
  return found;
}

typedef struct {
  const UsherActor *actor;
  const UsherSql *revoke;
  const char *what;
} SignOut;

static gboolean
sign_out (UsherStore *store, gpointer data, GError **error)
{
  SignOut *out = data;
  UsherAuditLine line = { .action = "signout", .outcome = "ok", .kind = "user", .object = out->actor->name };
  g_autoptr (UsherRows) revoked = usher_sql (store, out->revoke, error, out->what);
  if (revoked == NULL || PQntuples (revoked) == 0)
    return revoked != NULL;
  USHER_FAULT_POINT ("store.sign-out");
  return usher_audit_add (store, out->actor, &line, error)
         && usher_work_leave_person (store, out->actor, usher_cell_text (revoked, 0, 0), usher_leaving_plan, error);
}

gboolean
usher_store_sign_out (UsherStore *store, const UsherActor *actor, const char *session, GError **error)
{
  SignOut out = { actor, &revoke_session, session };
  return usher_store_transact (store, sign_out, &out, error);
}

gboolean
usher_store_sign_out_all (UsherStore *store, const UsherActor *actor, const char *user, GError **error)
{
  g_autofree char *key = usher_account_name_key (user);
  SignOut out = { actor, &revoke_all, key != NULL ? key : user };
  return usher_store_transact (store, sign_out, &out, error);
}
