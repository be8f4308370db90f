/* Inside of broker/store/: running named statements, and transactions. libpq is known here and in migrate.c
 * and listener.c only. */
#pragma once
#include <libpq-fe.h>
#include "broker/store/store.h"

/* A named statement; `name` tells it in errors. Prepared once a connection. Lives in static memory. */
typedef struct {
  const char *name, *text;
} UsherSql;

typedef PGresult UsherRows;
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherRows, PQclear)

/* Runs `sql` with `n` text parameters (NULL: SQL's NULL). NULL on error. */
UsherRows *usher_sql_run (UsherStore *store, const UsherSql *sql, const char *const *params, int n, GError **error);

/* As usher_sql_run(): usher_sql (store, &sql, error, "a", NULL, usher_number (3).text). */
#define usher_sql(store, sql, error, ...)                                                                              \
  usher_sql_run (store, sql, (const char *const[]){ NULL, ##__VA_ARGS__ } + 1,                                         \
                 (int) G_N_ELEMENTS (((const char *const[]){ NULL, ##__VA_ARGS__ })) - 1, error)

/* As usher_sql() for a statement whose rows nobody wants; *out_count (may be NULL): how many rows it changed. */
#define usher_sql_do(store, sql, out_count, error, ...)                                                                \
  usher_sql_done (usher_sql (store, sql, error, ##__VA_ARGS__), out_count)
gboolean usher_sql_done (UsherRows *rows, gint64 *out_count);

typedef struct {
  char text[24];
} UsherNumber;
UsherNumber usher_number (gint64 value);

/* A cell; NULL for SQL's NULL. Borrowed from the rows. */
const char *usher_cell (const UsherRows *rows, int row, int column);
/* As usher_cell(), "" for NULL. */
const char *usher_cell_text (const UsherRows *rows, int row, int column);
/* 0 for NULL. */
gint64 usher_cell_int (const UsherRows *rows, int row, int column);
gboolean usher_cell_bool (const UsherRows *rows, int row, int column);
/* A text that is JSON (from the database: a defect otherwise); new reference. */
json_t *usher_cell_json (const UsherRows *rows, int row, int column);
/* PostgreSQL's array of text as to_jsonb() gives it; owned by the caller. */
char **usher_cell_list (const UsherRows *rows, int row, int column);
/* The text of a list for usher_cell_list's way back: a JSON array, for «ARRAY (SELECT jsonb_array_elements_text ($1))».
 */
char *usher_list_json (const char *const *list);

/* What a transaction does; may run several times (after a deadlock), so it must set its outcome afresh. */
typedef gboolean (*UsherTransaction) (UsherStore *store, gpointer data, GError **error);

/* Runs `func` between BEGIN, which goes with its first statement, and COMMIT; rolls back when it fails. Not to be nested. */
gboolean usher_store_transact (UsherStore *store, UsherTransaction func, gpointer data, GError **error);

/* Sets the transaction's notices aside, as a column of its first statement: commits that notify wait for each other.
 * The caller says what it changed with usher_store_announce(). */
#define USHER_SQL_QUIET "set_config('usher.quiet', 'on', true)"
/* In a transaction: tells listeners of `kinds` as soon as it is committed. When that fails, or the program dies between the
 * two, those who wait look again by themselves some seconds later. */
void usher_store_announce (UsherStore *store, guint kinds);

/* The SQLSTATE of the store's newest failed statement; "" none. */
const char *usher_store_get_sqlstate (const UsherStore *store);

const UsherConsoleKey *usher_store_get_key (const UsherStore *store);

/* Opens what encode(desktop.console_secret, 'hex') gave. */
UsherSecret *usher_console_unseal_hex (UsherStore *store, const char *hex, GError **error);
char *usher_console_unseal_hex_text (UsherStore *store, const char *hex, GError **error);

/* Turns a result or connection's failure into our error. `what` names the statement. */
void usher_sql_error (PGconn *connection, const PGresult *result, const char *what, GError **error);

/* Connects with our limits (statement, lock and idle times). NULL and UNAVAILABLE when that fails. */
PGconn *usher_sql_connect (const char *conninfo, GError **error);

/* The keywords and values of such a connection, for PQconnectStartParams(); NULL-terminated, borrowing `conninfo`. */
#define USHER_SQL_KEYWORDS 8
void usher_sql_connect_params (const char *conninfo, const char *keywords[USHER_SQL_KEYWORDS],
                               const char *values[USHER_SQL_KEYWORDS]);
