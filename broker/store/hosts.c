#include "broker/store/hosts.h"

#include "broker/store/audit_add.h"
#include "broker/store/spec.h"
#include "broker/store/sql.h"
#include "common/fault.h"

static const UsherSql make_host = {
  "join-host",
  "WITH made AS (INSERT INTO host (name, spec) VALUES ($1, '{\"mode\": \"active\"}') ON CONFLICT (name) DO NOTHING "
  "RETURNING id) SELECT id FROM made UNION ALL SELECT id FROM host WHERE name = $1 LIMIT 1",
};
static const UsherSql add_token = {
  "join-token-add",
  "INSERT INTO join_token (hash, host, expires_at) VALUES ($1, $2::uuid, now() + $3::bigint * interval '1 second')",
};
static const UsherSql find_token = {
  "join-token-find",
  "SELECT h.id FROM join_token t JOIN host h ON h.id = t.host WHERE t.hash = $1 AND h.name = $2 AND t.used_at IS NULL "
  "AND t.expires_at > now()",
};
static const UsherSql use_token = {
  "join-token-use",
  "UPDATE join_token t SET used_at = now() FROM host h WHERE h.id = t.host AND t.hash = $1 AND h.name = $2 AND "
  "t.used_at IS NULL AND t.expires_at > now() RETURNING h.id",
};
static const UsherSql set_fingerprint = {
  "join-fingerprint",
  "UPDATE host SET fingerprint = $2, joined_at = now() WHERE id = $1::uuid",
};
static const UsherSql find_fingerprint = { "host-find", "SELECT id FROM host WHERE fingerprint = $1" };

typedef struct {
  const UsherActor *actor;
  const char *name, *fingerprint;
  guint ttl_s;
  char hash[USHER_TOKEN_HASH_SIZE];
} Join;

static gboolean
no_token (const char *name, GError **error)
{
  g_set_error (error, USHER_ERROR, USHER_ERROR_UNAUTHENTICATED,
               "the join token is unknown, used or expired, or was not made for a host \"%s\"", name);
  return FALSE;
}

static gboolean
make_token (UsherStore *store, gpointer data, GError **error)
{
  Join *in = data;
  g_autoptr (UsherRows) host = usher_sql (store, &make_host, error, in->name);
  UsherAuditLine line = { .action = "join-token", .outcome = "ok", .kind = "host", .object = in->name };
  if (host == NULL)
    return FALSE;
  if (PQntuples (host) == 0)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_CONFLICT, "host \"%s\" was made at the same time: try again",
                   in->name);
      return FALSE;
    }
  line.id = usher_cell_text (host, 0, 0);
  return usher_sql_do (store, &add_token, NULL, error, in->hash, line.id, usher_number (in->ttl_s).text)
         && usher_audit_add (store, in->actor, &line, error);
}

gboolean
usher_store_join_token (UsherStore *store, const UsherActor *actor, const char *name, guint ttl_s,
                        char out_token[USHER_TOKEN_SIZE], GError **error)
{
  Join in = { .actor = actor, .name = name, .ttl_s = ttl_s };
  char token[USHER_TOKEN_SIZE];
  if (!usher_spec_name_is_valid (name))
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID,
                   "host \"%s\": is not a name: a-z, 0-9, - and . between them, at most 63 characters", name);
      return FALSE;
    }
  usher_token_new (token);
  usher_token_hash (token, in.hash);
  if (!usher_store_transact (store, make_token, &in, error))
    return FALSE;
  g_strlcpy (out_token, token, USHER_TOKEN_SIZE);
  return TRUE;
}

gboolean
usher_store_join_check (UsherStore *store, const char *token, const char *name, char out_host[USHER_ID_SIZE],
                        GError **error)
{
  char hash[USHER_TOKEN_HASH_SIZE];
  if (!usher_token_is_valid (token) || !usher_spec_name_is_valid (name))
    return no_token (name, error);
  usher_token_hash (token, hash);
  g_autoptr (UsherRows) rows = usher_sql (store, &find_token, error, hash, name);
  if (rows == NULL)
    return FALSE;
  if (PQntuples (rows) == 0)
    return no_token (name, error);
  g_strlcpy (out_host, usher_cell_text (rows, 0, 0), USHER_ID_SIZE);
  return TRUE;
}

static gboolean
join (UsherStore *store, gpointer data, GError **error)
{
  Join *in = data;
  g_autoptr (UsherRows) host = usher_sql (store, &use_token, error, in->hash, in->name);
  UsherAuditLine line
      = { .action = "join", .outcome = "ok", .kind = "host", .object = in->name, .message = in->fingerprint };
  if (host == NULL)
    return FALSE;
  if (PQntuples (host) == 0)
    return no_token (in->name, error);
  USHER_FAULT_POINT ("store.join");
  line.id = usher_cell_text (host, 0, 0);
  return usher_sql_do (store, &set_fingerprint, NULL, error, line.id, in->fingerprint)
         && usher_audit_add (store, in->actor, &line, error);
}

gboolean
usher_store_join_use (UsherStore *store, const UsherActor *actor, const char *token, const char *name,
                      const char *fingerprint, GError **error)
{
  Join in = { .actor = actor, .name = name, .fingerprint = fingerprint };
  GError *local = NULL;
  if (!usher_token_is_valid (token) || !usher_spec_name_is_valid (name))
    no_token (name, &local);
  else
    {
      usher_token_hash (token, in.hash);
      if (usher_store_transact (store, join, &in, &local))
        return TRUE;
    }
  UsherAuditLine line = { .action = "join", .kind = "host", .object = name };
  usher_audit_refusal (store, actor, &line, local);
  g_propagate_error (error, local);
  return FALSE;
}

gboolean
usher_store_find_host (UsherStore *store, const char *fingerprint, char out_host[USHER_ID_SIZE], GError **error)
{
  g_autoptr (UsherRows) rows = usher_sql (store, &find_fingerprint, error, fingerprint);
  if (rows == NULL)
    return FALSE;
  if (PQntuples (rows) == 0)
    {
      g_set_error_literal (error, USHER_ERROR, USHER_ERROR_UNAUTHENTICATED, "no host has joined with that certificate");
      return FALSE;
    }
  g_strlcpy (out_host, usher_cell_text (rows, 0, 0), USHER_ID_SIZE);
  return TRUE;
}
