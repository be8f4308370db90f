#include "broker/store/sessions.h"

#include <string.h>

#include "broker/store/audit_add.h"
#include "broker/store/desktop_move.h"
#include "broker/store/sql.h"
#include "common/fault.h"

static const char refused[] = "the ticket is unknown, used or expired";

static const UsherSql use_ticket = {
  "ticket-use",
  "UPDATE ticket SET redeemed_at = now() WHERE hash = $1 AND redeemed_at IS NULL AND expires_at > now() RETURNING "
  "session",
};
/* The desktop is still that person's. */
static const UsherSql enter_session = {
  "session-enter",
  "UPDATE session s SET gateway = $2, client_address = $3, carrier = $4 FROM desktop d, person o "
  "WHERE s.id = $1::uuid AND s.state = 'offered' AND d.id = s.desktop AND d.owner = s.person AND o.id = s.person "
  "AND d.state NOT IN ('draining', 'gone') AND s.created_at >= coalesce(d.refreshed_at, '-infinity') RETURNING o.name, "
  "s.desktop_name",
};

typedef struct {
  const UsherRedeemRequest *request;
  const UsherActor *actor;
  char hash[USHER_TOKEN_HASH_SIZE];
  char session[USHER_ID_SIZE]; /* the outcome */
} Redeem;

static gboolean
no_ticket (GError **error)
{
  g_set_error_literal (error, USHER_ERROR, USHER_ERROR_UNAUTHENTICATED, refused);
  return FALSE;
}

static gboolean
redeem (UsherStore *store, gpointer data, GError **error)
{
  Redeem *in = data;
  const UsherRedeemRequest *request = in->request;
  g_autoptr (UsherRows) ticket = usher_sql (store, &use_ticket, error, in->hash), session = NULL;
  UsherActor actor = *in->actor;
  UsherAuditLine line = { .action = "redeem", .outcome = "ok", .kind = "session", .id = in->session };
  if (ticket == NULL)
    return FALSE;
  if (PQntuples (ticket) == 0)
    return no_ticket (error);
  g_strlcpy (in->session, usher_cell_text (ticket, 0, 0), USHER_ID_SIZE);
  session = usher_sql (store, &enter_session, error, in->session, request->gateway, request->client_address,
                       request->carrier);
  if (session == NULL)
    return FALSE;
  if (PQntuples (session) == 0)
    return no_ticket (error);
  USHER_FAULT_POINT ("store.redeem");
  actor.name = usher_cell_text (session, 0, 0);
  line.object = usher_cell_text (session, 0, 1);
  g_autofree char *message
      = g_strdup_printf ("by gateway %s from %s (%s)", request->gateway, request->client_address, request->carrier);
  line.message = message;
  return usher_session_move (store, in->session, USHER_SESSION_OFFERED, USHER_SESSION_CONNECTING, "redeemed", message,
                             error)
         && usher_audit_add (store, &actor, &line, error);
}

gboolean
usher_store_redeem (UsherStore *store, const UsherRedeemRequest *request, const UsherActor *actor,
                    char out_session[USHER_ID_SIZE], GError **error)
{
  Redeem in = { .request = request, .actor = actor };
  GError *local = NULL;
  if (!usher_token_is_valid (request->ticket))
    no_ticket (&local);
  else
    {
      usher_token_hash (request->ticket, in.hash);
      if (usher_store_transact (store, redeem, &in, &local))
        {
          g_strlcpy (out_session, in.session, USHER_ID_SIZE);
          return TRUE;
        }
    }
  UsherAuditLine line = { .action = "redeem", .kind = "session", .id = in.session };
  usher_audit_refusal (store, actor, &line, local);
  g_propagate_error (error, local);
  return FALSE;
}

/* ---- the console ---- */

static const UsherSql find_console = {
  "session-console",
  "SELECT s.id, d.id, h.id, o.name, h.door, encode(d.console_secret, 'hex'), d.seen_console_revision >= "
  "d.console_revision AND d.console_valid_until > now(), coalesce(d.seen_state = 'ready', false), "
  "coalesce(h.last_seen > now() - interval '30 seconds', false), d.name, h.name FROM session s JOIN person o ON o.id "
  "= s.person JOIN desktop d ON d.id = s.desktop LEFT JOIN host h ON h.id = d.host WHERE s.id = $1::uuid AND s.state "
  "IN ('connecting', 'active', 'disconnected') AND d.owner = s.person AND d.state NOT IN ('draining', 'gone')",
};

void
usher_session_console_free (UsherSessionConsole *console)
{
  if (console == NULL)
    return;
  g_free (console->user);
  g_free (console->door);
  usher_secret_free (console->secret);
  g_free (console);
}

static guint8 *
bytes_of_hex (const char *hex, gsize *out_length)
{
  gsize length = strlen (hex) / 2;
  guint8 *bytes = g_malloc (length + 1);
  for (gsize i = 0; i < length; i++)
    bytes[i] = (guint8) (g_ascii_xdigit_value (hex[2 * i]) << 4 | g_ascii_xdigit_value (hex[2 * i + 1]));
  *out_length = length;
  return bytes;
}

UsherSecret *
usher_console_unseal_hex (UsherStore *store, const char *hex, GError **error)
{
  gsize length = 0;
  g_autofree guint8 *sealed = bytes_of_hex (hex, &length);
  return usher_console_key_unseal (usher_store_get_key (store), sealed, length, error);
}

char *
usher_console_unseal_hex_text (UsherStore *store, const char *hex, GError **error)
{
  gsize length = 0;
  g_autofree guint8 *sealed = bytes_of_hex (hex, &length);
  return usher_console_key_unseal_text (usher_store_get_key (store), sealed, length, error);
}

static gboolean
check_reachable (const UsherRows *rows, GError **error)
{
  const char *desktop = usher_cell_text (rows, 0, 9), *host = usher_cell_text (rows, 0, 10);
  const char *why = !usher_cell_bool (rows, 0, 8)             ? "its host does not report"
                    : !usher_cell_bool (rows, 0, 7)           ? "it does not answer"
                    : usher_cell_text (rows, 0, 4)[0] == '\0' ? "its host has no door"
                    : usher_cell (rows, 0, 5) == NULL         ? "it has no console secret"
                                                              : NULL;
  if (why != NULL)
    g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "desktop %s on host %s: %s", desktop,
                 host[0] != '\0' ? host : "(none)", why);
  return why == NULL;
}

UsherSessionConsole *
usher_store_session_console (UsherStore *store, const char *session, GError **error)
{
  g_autoptr (UsherRows) rows = usher_sql (store, &find_console, error, session);
  if (rows == NULL)
    return NULL;
  if (PQntuples (rows) == 0)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_MISSING, "there is no open session %s", session);
      return NULL;
    }
  if (!check_reachable (rows, error))
    return NULL;
  g_autoptr (UsherSessionConsole) console = g_new0 (UsherSessionConsole, 1);
  g_strlcpy (console->session, usher_cell_text (rows, 0, 0), USHER_ID_SIZE);
  g_strlcpy (console->desktop, usher_cell_text (rows, 0, 1), USHER_ID_SIZE);
  g_strlcpy (console->host, usher_cell_text (rows, 0, 2), USHER_ID_SIZE);
  console->user = g_strdup (usher_cell_text (rows, 0, 3));
  console->door = g_strdup (usher_cell_text (rows, 0, 4));
  console->in_force = usher_cell_bool (rows, 0, 6);
  console->secret = usher_console_unseal_hex (store, usher_cell_text (rows, 0, 5), error);
  return console->secret != NULL ? g_steal_pointer (&console) : NULL;
}

/* ---- events ---- */

static const UsherSql lock_session = {
  "session-lock",
  "SELECT s.state, s.desktop_name, o.name FROM session s JOIN person o ON o.id = s.person WHERE s.id = $1::uuid FOR "
  "UPDATE OF s",
};
static const UsherSql count_bytes = {
  "session-bytes",
  "UPDATE session SET gateway = $2, bytes_to_client = greatest(bytes_to_client, $3::bigint), "
  "bytes_to_desktop = greatest(bytes_to_desktop, $4::bigint) WHERE id = $1::uuid",
};

typedef struct {
  const UsherActor *actor;
  const char *session;
  const UsherSessionEvent *event; /* NULL: it ends */
  const char *reason;
} Event;

static gboolean
audit_event (UsherStore *store, const Event *event, const UsherRows *rows, UsherSessionState to, GError **error)
{
  UsherActor actor = *event->actor;
  UsherAuditLine line = { .action = usher_session_state_name (to),
                          .outcome = "ok",
                          .kind = "session",
                          .id = event->session,
                          .object = usher_cell_text (rows, 0, 1),
                          .message = event->reason };
  actor.name = usher_cell_text (rows, 0, 2);
  return usher_audit_add (store, &actor, &line, error);
}

static gboolean
take_event (UsherStore *store, gpointer data, GError **error)
{
  Event *in = data;
  const UsherSessionEvent *event = in->event;
  g_autoptr (UsherRows) rows = usher_sql (store, &lock_session, error, in->session);
  UsherSessionState from, to = event == NULL                               ? USHER_SESSION_ENDED
                               : event->kind == USHER_SESSION_EVENT_ACTIVE ? USHER_SESSION_ACTIVE
                                                                           : USHER_SESSION_DISCONNECTED;
  if (rows == NULL)
    return FALSE;
  if (PQntuples (rows) == 0 || !usher_session_state_parse (usher_cell_text (rows, 0, 0), &from))
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_MISSING, "there is no session %s", in->session);
      return FALSE;
    }
  if (event != NULL
      && !usher_sql_do (store, &count_bytes, NULL, error, in->session, event->gateway,
                        usher_number (event->bytes_to_client).text, usher_number (event->bytes_to_desktop).text))
    return FALSE;
  if (!usher_session_state_may_move (from, to))
    return TRUE; /* repeated or late */
  return usher_session_move (store, in->session, from, to, usher_session_state_name (to), in->reason, error)
         && audit_event (store, in, rows, to, error);
}

gboolean
usher_store_session_event (UsherStore *store, const UsherActor *actor, const char *session,
                           const UsherSessionEvent *event, GError **error)
{
  gboolean active = event->kind == USHER_SESSION_EVENT_ACTIVE;
  g_autofree char *reason
      = active ? g_strdup_printf ("gateway %s relays it", event->gateway)
               : g_strdup (event->reason != NULL && event->reason[0] != '\0' ? event->reason : "the line was closed");
  Event in = { actor, session, event, reason };
  if (!usher_id_is_valid (session))
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_MISSING, "there is no session \"%s\"", session);
      return FALSE;
    }
  return usher_store_transact (store, take_event, &in, error);
}

gboolean
usher_store_session_fail (UsherStore *store, const UsherActor *actor, const char *session, const char *reason,
                          GError **error)
{
  Event in = { actor, session, NULL, reason };
  return usher_store_transact (store, take_event, &in, error);
}
