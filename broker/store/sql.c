#include "broker/store/sql.h"

#include <string.h>

/* SQLSTATEs, or their first characters, and what they mean to a caller. The first that fits counts. */
static const struct {
  const char *state;
  UsherError code;
} meanings[] = {
  { "40", USHER_ERROR_CONFLICT },                                             /* serialization failure, deadlock */
  { "23", USHER_ERROR_CONFLICT },                                             /* unique, foreign key … */
  { "55P03", USHER_ERROR_BUSY },                                              /* lock_timeout */
  { "57014", USHER_ERROR_UNAVAILABLE },                                       /* statement_timeout */
  { "57", USHER_ERROR_UNAVAILABLE },                                          /* shutting down, starting up */
  { "53100", USHER_ERROR_EXHAUSTED },                                         /* disk full */
  { "53", USHER_ERROR_UNAVAILABLE },                                          /* too many connections, out of memory */
  { "58", USHER_ERROR_UNAVAILABLE },                                          /* the server's own input and output */
  { "08", USHER_ERROR_UNAVAILABLE },    { "25006", USHER_ERROR_UNAVAILABLE }, /* read only: a standby */
  { "25P03", USHER_ERROR_UNAVAILABLE },                                       /* idle_in_transaction_session_timeout */
  { "28", USHER_ERROR_UNAVAILABLE },                                          /* may not log in */
  { "3D", USHER_ERROR_UNAVAILABLE },                                          /* no such database */
  { "UA002", USHER_ERROR_CONFLICT },                                          /* a retired version is wanted */
  { "UA", USHER_ERROR_REFUSED },                                              /* our own rules (migrations) */
  { "22P02", USHER_ERROR_INVALID },                                           /* a text that is not an id */
  { "22021", USHER_ERROR_INVALID },                                           /* not UTF-8 */
};

void
usher_sql_error (PGconn *connection, const PGresult *result, const char *what, GError **error)
{
  const char *state = result != NULL ? PQresultErrorField (result, PG_DIAG_SQLSTATE) : NULL;
  const char *primary = result != NULL ? PQresultErrorField (result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
  UsherError code
      = state == NULL || PQstatus (connection) != CONNECTION_OK ? USHER_ERROR_UNAVAILABLE : USHER_ERROR_INTERNAL;
  g_autofree char *message = g_strdup (primary != NULL ? primary : PQerrorMessage (connection));

  for (gsize i = 0; state != NULL && i < G_N_ELEMENTS (meanings); i++)
    if (g_str_has_prefix (state, meanings[i].state))
      {
        code = meanings[i].code;
        break;
      }
  g_strdelimit (g_strchomp (message), "\n", ' ');
  g_set_error (error, USHER_ERROR, code, "database: %s: %s%s%s%s", what, message, state != NULL ? " (" : "",
               state != NULL ? state : "", state != NULL ? ")" : "");
}

void
usher_sql_connect_params (const char *conninfo, const char *keywords[USHER_SQL_KEYWORDS],
                          const char *values[USHER_SQL_KEYWORDS])
{
  static const char *const ours[][2] = {
    { "connect_timeout", "3" },
    { "client_encoding", "UTF8" },
    { "fallback_application_name", "usher-broker" },
    { "keepalives_idle", "10" },
    { "tcp_user_timeout", "15000" },
    { "options", "-c statement_timeout=10000 -c lock_timeout=5000 -c idle_in_transaction_session_timeout=20000 "
                 "-c client_min_messages=warning" },
  };
  G_STATIC_ASSERT (G_N_ELEMENTS (ours) + 2 == USHER_SQL_KEYWORDS);
  keywords[0] = "dbname"; /* expanded: may hold a whole connection string */
  values[0] = conninfo;
  for (gsize i = 0; i < G_N_ELEMENTS (ours); i++)
    {
      keywords[i + 1] = ours[i][0];
      values[i + 1] = ours[i][1];
    }
  keywords[USHER_SQL_KEYWORDS - 1] = values[USHER_SQL_KEYWORDS - 1] = NULL;
}

PGconn *
usher_sql_connect (const char *conninfo, GError **error)
{
  const char *keywords[USHER_SQL_KEYWORDS], *values[USHER_SQL_KEYWORDS];
  usher_sql_connect_params (conninfo, keywords, values);
  PGconn *connection = PQconnectdbParams (keywords, values, 1);
  if (PQstatus (connection) == CONNECTION_OK)
    return connection;
  usher_sql_error (connection, NULL, "connect", error);
  PQfinish (connection);
  return NULL;
}

gboolean
usher_sql_done (UsherRows *rows, gint64 *out_count)
{
  if (rows == NULL)
    return FALSE;
  if (out_count != NULL)
    *out_count = g_ascii_strtoll (PQcmdTuples (rows), NULL, 10);
  PQclear (rows);
  return TRUE;
}

UsherNumber
usher_number (gint64 value)
{
  UsherNumber number;
  g_snprintf (number.text, sizeof number.text, "%" G_GINT64_FORMAT, value);
  return number;
}

const char *
usher_cell (const UsherRows *rows, int row, int column)
{
  return PQgetisnull (rows, row, column) ? NULL : PQgetvalue (rows, row, column);
}

const char *
usher_cell_text (const UsherRows *rows, int row, int column)
{
  return PQgetvalue (rows, row, column);
}

gint64
usher_cell_int (const UsherRows *rows, int row, int column)
{
  return g_ascii_strtoll (PQgetvalue (rows, row, column), NULL, 10);
}

gboolean
usher_cell_bool (const UsherRows *rows, int row, int column)
{
  return PQgetvalue (rows, row, column)[0] == 't';
}

json_t *
usher_cell_json (const UsherRows *rows, int row, int column)
{
  const char *text = usher_cell (rows, row, column);
  json_t *value = text != NULL ? json_loads (text, JSON_DECODE_ANY, NULL) : NULL;
  return value != NULL ? value : json_null ();
}

char **
usher_cell_list (const UsherRows *rows, int row, int column)
{
  json_auto_t *list = usher_cell_json (rows, row, column);
  GPtrArray *texts = g_ptr_array_new ();
  gsize i;
  json_t *value;
  json_array_foreach (list, i, value)
    g_ptr_array_add (texts, g_strdup (json_string_value (value)));
  g_ptr_array_add (texts, NULL);
  return (char **) g_ptr_array_free (texts, FALSE);
}

char *
usher_list_json (const char *const *list)
{
  json_auto_t *array = json_array ();
  for (gsize i = 0; list != NULL && list[i] != NULL; i++)
    json_array_append_new (array, json_string (list[i]));
  return json_dumps (array, JSON_COMPACT);
}
