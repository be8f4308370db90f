#include "broker/store/migrate.h"

#include "broker/store/migration_list.h"
#include "broker/store/sql.h"
#include "common/fault.h"
#include "common/log.h"

/* The advisory lock of migrations: any number will do, all brokers must use the same. */
#define LOCK "7203850491"

G_DEFINE_AUTOPTR_CLEANUP_FUNC (PGconn, PQfinish)

guint
usher_store_schema_version (void)
{
  guint n = 0;
  while (usher_migrations[n].name != NULL)
    n++;
  return n;
}

/* Runs one or several statements; with `out` the first cell as a number. */
static gboolean
run (PGconn *connection, const char *what, const char *text, gint64 *out, GError **error)
{
  g_autoptr (UsherRows) result = PQexec (connection, text);
  ExecStatusType status = PQresultStatus (result);
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
    {
      usher_sql_error (connection, result, what, error);
      return FALSE;
    }
  if (out != NULL)
    *out = usher_cell_int (result, 0, 0);
  return TRUE;
}

static gboolean
apply (PGconn *connection, const UsherMigration *migration, GError **error)
{
  g_autofree char *note = g_strdup_printf ("INSERT INTO usher_migration (version, name) VALUES (%u, '%s')",
                                           migration->number, migration->name);
  if (!run (connection, "begin", "BEGIN", NULL, error)
      || !run (connection, migration->name, migration->text, NULL, error)
      || !run (connection, migration->name, note, NULL, error))
    return FALSE; /* the connection's end rolls back */
  USHER_FAULT_POINT ("store.migrate");
  if (!run (connection, "commit", "COMMIT", NULL, error))
    return FALSE;
  usher_log (USHER_LOG_NOTICE, NULL, "the database has migration %s now", migration->name);
  return TRUE;
}

static gboolean
apply_missing (PGconn *connection, GError **error)
{
  gint64 there = 0, newest = usher_store_schema_version ();
  if (!run (connection, "migrations", "SELECT coalesce(max(version), 0) FROM usher_migration", &there, error))
    return FALSE;
  if (there > newest)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_CONFLICT,
                   "the database has schema %" G_GINT64_FORMAT ", newer than this program's %" G_GINT64_FORMAT
                   ": use the newer program",
                   there, newest);
      return FALSE;
    }
  for (gint64 i = there; i < newest; i++)
    if (!apply (connection, &usher_migrations[i], error))
      return FALSE;
  return TRUE;
}

gboolean
usher_store_migrate (const char *conninfo, GError **error)
{
  g_autoptr (PGconn) connection = usher_sql_connect (conninfo, error);
  if (connection == NULL)
    return FALSE;
  /* Another broker's migrations may take longer than a statement usually may. The session's end frees the lock. */
  return run (connection, "limits", "SET statement_timeout = '300s'; SET lock_timeout = '300s'", NULL, error)
         && run (connection, "lock", "SELECT pg_advisory_lock(" LOCK ")", NULL, error)
         && run (connection, "table",
                 "CREATE TABLE IF NOT EXISTS usher_migration (version bigint PRIMARY KEY, name text NOT NULL, "
                 "at timestamptz NOT NULL DEFAULT now()); GRANT SELECT ON usher_migration TO usher_broker",
                 NULL, error)
         && apply_missing (connection, error);
}
