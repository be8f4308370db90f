#include "broker/store/store.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "broker/store/migrate.h"
#include "broker/store/sql.h"
#include "common/fault.h"

#define ANSWER_LIMIT_MS 15000
#define TRIES 5 /* of a transaction that met a deadlock or the like */

struct _UsherStore {
  char *conninfo;
  const UsherConsoleKey *key;
  PGconn *connection;   /* NULL: not connected */
  GHashTable *prepared; /* const UsherSql → its name in this connection */
  enum { NO_TRANSACTION, TO_BEGIN, BEGUN } transaction;
  guint announced;      /* kinds, told with the commit */
  char sqlstate[6];
};

UsherStore *
usher_store_new (const char *conninfo, const UsherConsoleKey *key)
{
  UsherStore *store = g_new0 (UsherStore, 1);
  store->conninfo = g_strdup (conninfo);
  store->key = key;
  store->prepared = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  return store;
}

static void
disconnect (UsherStore *store)
{
  g_clear_pointer (&store->connection, PQfinish);
  g_hash_table_remove_all (store->prepared);
}

void
usher_store_free (UsherStore *store)
{
  if (store == NULL)
    return;
  disconnect (store);
  g_hash_table_unref (store->prepared);
  g_free (store->conninfo);
  g_free (store);
}

const char *
usher_store_get_sqlstate (const UsherStore *store)
{
  return store->sqlstate;
}

const UsherConsoleKey *
usher_store_get_key (const UsherStore *store)
{
  return store->key;
}

/* Whether an idle connection was closed by the server meanwhile (it restarted). A server has nothing to say to an idle
 * connection but its farewell (or news of its settings, after which a fresh connection does no harm). */
static gboolean
was_closed (PGconn *connection)
{
  struct pollfd socket = { .fd = PQsocket (connection), .events = POLLIN };
  if (PQstatus (connection) != CONNECTION_OK || socket.fd < 0)
    return TRUE;
  return poll (&socket, 1, 0) != 0;
}

static gboolean
be_connected (UsherStore *store, GError **error)
{
  if (store->connection != NULL && store->transaction != BEGUN && was_closed (store->connection))
    disconnect (store);
  if (store->connection == NULL && store->transaction == BEGUN)
    {
      g_set_error_literal (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE,
                           "database: the connection was lost in a transaction");
      return FALSE;
    }
  if (store->connection == NULL)
    store->connection = usher_sql_connect (store->conninfo, error);
  return store->connection != NULL;
}

/* The last result of what was sent; NULL when no answer came in time or the connection broke. */
static PGresult *
collect (PGconn *connection)
{
  gint64 until_us = g_get_monotonic_time () + (gint64) ANSWER_LIMIT_MS * 1000;
  PGresult *last = NULL, *next;

  for (;;)
    {
      while (PQisBusy (connection))
        {
          struct pollfd socket = { .fd = PQsocket (connection), .events = POLLIN };
          gint64 left_ms = (until_us - g_get_monotonic_time ()) / 1000;
          if (left_ms <= 0 || socket.fd < 0 || (poll (&socket, 1, (int) left_ms) < 0 && errno != EINTR))
            {
              PQclear (last);
              return NULL;
            }
          if (!PQconsumeInput (connection))
            break; /* PQgetResult tells of it */
        }
      next = PQgetResult (connection);
      if (next == NULL)
        return last;
      if (last != NULL && PQresultStatus (last) == PGRES_FATAL_ERROR)
        PQclear (next);
      else
        {
          PQclear (last);
          last = next;
        }
    }
}

/* `result` when it is good, else NULL and an error; a broken connection is dropped. */
static PGresult *
judge (UsherStore *store, PGresult *result, const char *what, GError **error)
{
  ExecStatusType status = result != NULL ? PQresultStatus (result) : PGRES_FATAL_ERROR;
  const char *state;
  if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
    return result;
  state = result != NULL ? PQresultErrorField (result, PG_DIAG_SQLSTATE) : NULL;
  g_strlcpy (store->sqlstate, state != NULL ? state : "", sizeof store->sqlstate);
  if (result == NULL && PQstatus (store->connection) == CONNECTION_OK)
    g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "database: %s: no answer within %d s", what,
                 ANSWER_LIMIT_MS / 1000);
  else
    usher_sql_error (store->connection, result, what, error);
  if (result == NULL || PQstatus (store->connection) != CONNECTION_OK)
    disconnect (store);
  PQclear (result);
  return NULL;
}

/* The name that `sql` is prepared under; NULL on error. */
static const char *
prepare (UsherStore *store, const UsherSql *sql, GError **error)
{
  char *name = g_hash_table_lookup (store->prepared, sql);
  PGresult *result = NULL;
  if (name != NULL)
    return name;
  name = g_strdup_printf ("%s-%u", sql->name, g_hash_table_size (store->prepared));
  if (PQsendPrepare (store->connection, name, sql->text, 0, NULL))
    result = collect (store->connection);
  result = judge (store, result, sql->name, error);
  if (result == NULL)
    {
      g_free (name);
      return NULL;
    }
  PQclear (result);
  g_hash_table_insert (store->prepared, (gpointer) sql, name);
  return name;
}

/* A command and the prepared statement `name` after it, in one round trip (libpq's pipeline mode). *out_result, the
 * statement's, is NULL or bad when the command's is. */
static PGresult *
send_both (PGconn *connection, const char *command, const char *name, const char *const *params, int n, PGresult **out_result)
{
  PGresult *result = NULL;
  *out_result = NULL;
  if (!PQenterPipelineMode (connection))
    return NULL;
  if (PQsendQueryParams (connection, command, 0, NULL, NULL, NULL, NULL, 0)
      && PQsendQueryPrepared (connection, name, n, params, NULL, NULL, 0) && PQpipelineSync (connection))
    result = collect (connection);
  if (result != NULL)
    {
      *out_result = collect (connection);
      PQclear (collect (connection)); /* of the end of the pipeline */
      PQexitPipelineMode (connection);
    }
  return result; /* NULL: the connection is of no more use */
}

/* A transaction begins with its first statement. */
static PGresult *
begin_and_run (UsherStore *store, const char *name, const char *const *params, int n, const char *what, GError **error)
{
  PGresult *result = NULL, *begun = judge (store, send_both (store->connection, "BEGIN", name, params, n, &result), "BEGIN", error);
  if (begun == NULL)
    {
      PQclear (result);
      return NULL;
    }
  PQclear (begun);
  store->transaction = BEGUN;
  return judge (store, result, what, error);
}

UsherRows *
usher_sql_run (UsherStore *store, const UsherSql *sql, const char *const *params, int n, GError **error)
{
  const char *name = be_connected (store, error) ? prepare (store, sql, error) : NULL;
  PGresult *result = NULL;
  if (name == NULL)
    return NULL;
  if (store->transaction == TO_BEGIN)
    return begin_and_run (store, name, params, n, sql->name, error);
  if (PQsendQueryPrepared (store->connection, name, n, params, NULL, NULL, 0))
    result = collect (store->connection);
  return judge (store, result, sql->name, error);
}

/* ---- transactions ---- */

static const UsherSql announce = {
  "announce",
  "SELECT pg_notify('usher', kind) FROM jsonb_array_elements_text($1::jsonb) kind, "
  "set_config('synchronous_commit', 'off', true)",
};

void
usher_store_announce (UsherStore *store, guint kinds)
{
  g_return_if_fail (store->transaction != NO_TRANSACTION);
  store->announced |= kinds;
}

/* COMMIT, and what was announced after it; its result. */
static PGresult *
send_commit (UsherStore *store)
{
  const char *kinds[USHER_KINDS + 1], *name = store->announced != 0 ? prepare (store, &announce, NULL) : NULL;
  PGresult *told = NULL, *result;
  gsize n = 0;
  if (name == NULL)
    return PQsendQuery (store->connection, "COMMIT") ? collect (store->connection) : NULL;
  for (UsherKind kind = 0; kind < USHER_KINDS; kind++)
    if ((store->announced & USHER_KIND_BIT (kind)) != 0)
      kinds[n++] = usher_kind_name (kind);
  kinds[n] = NULL;
  g_autofree char *list = usher_list_json (kinds);
  result = send_both (store->connection, "COMMIT", name, (const char *const[]){ list }, 1, &told);
  PQclear (told);
  return result;
}

/* FALSE also when it came to a rollback. */
static gboolean
commit (UsherStore *store, GError **error)
{
  PGresult *result = be_connected (store, error) ? judge (store, send_commit (store), "COMMIT", error) : NULL;
  if (result == NULL)
    return FALSE;
  gboolean done = strcmp (PQcmdStatus (result), "COMMIT") == 0;
  if (!done)
    g_set_error (error, USHER_ERROR, USHER_ERROR_INTERNAL, "database: COMMIT came to %s", PQcmdStatus (result));
  PQclear (result);
  return done;
}

static gboolean
try_once (UsherStore *store, UsherTransaction func, gpointer data, GError **error)
{
  store->transaction = TO_BEGIN;
  store->announced = 0;
  gboolean good = func (store, data, error);
  if (good && store->transaction == BEGUN)
    {
      USHER_FAULT_POINT ("store.before-commit");
      good = commit (store, error);
      USHER_FAULT_POINT ("store.after-commit");
    }
  else if (store->transaction == BEGUN && store->connection != NULL && PQsendQuery (store->connection, "ROLLBACK"))
    PQclear (collect (store->connection));
  store->transaction = NO_TRANSACTION;
  if (store->connection != NULL && PQtransactionStatus (store->connection) != PQTRANS_IDLE)
    disconnect (store);
  return good;
}

gboolean
usher_store_transact (UsherStore *store, UsherTransaction func, gpointer data, GError **error)
{
  g_return_val_if_fail (store->transaction == NO_TRANSACTION, FALSE);
  for (guint tries = 1;; tries++)
    {
      GError *local = NULL;
      store->sqlstate[0] = '\0';
      if (try_once (store, func, data, &local))
        return TRUE;
      if (!g_str_has_prefix (store->sqlstate, "40") || tries == TRIES)
        {
          g_propagate_error (error, local);
          return FALSE;
        }
      g_error_free (local);
    }
}

/* ---- the whole ---- */

static const UsherSql find_deployment = { "deployment", "SELECT id FROM deployment" };
static const UsherSql find_schema = { "schema", "SELECT coalesce(max(version), 0) FROM usher_migration" };

gboolean
usher_store_get_deployment (UsherStore *store, char out[USHER_ID_SIZE], GError **error)
{
  g_autoptr (UsherRows) rows = usher_sql (store, &find_deployment, error);
  if (rows == NULL)
    return FALSE;
  g_strlcpy (out, usher_cell_text (rows, 0, 0), USHER_ID_SIZE);
  return TRUE;
}

gboolean
usher_store_probe (UsherStore *store, GError **error)
{
  g_autoptr (UsherRows) rows = usher_sql (store, &find_schema, error);
  if (rows == NULL)
    return FALSE;
  if (usher_cell_int (rows, 0, 0) == usher_store_schema_version ())
    return TRUE;
  g_set_error (error, USHER_ERROR, USHER_ERROR_CONFLICT, "the database has schema %s, this program wants %u",
               usher_cell_text (rows, 0, 0), usher_store_schema_version ());
  return FALSE;
}
