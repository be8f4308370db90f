#include "gateway/spice/session.h"
#include "common/error.h"
#include "common/fault.h"
#include "common/log.h"
#include "gateway/spice/channel.h"

typedef enum {
  STATE_REDEEMING, /* the broker was asked */
  STATE_LINKING,   /* the main channel links with the desktop */
  STATE_ACTIVE,
  STATE_ENDED, /* freed, once no answer of the broker can come */
} State;

struct _UsherSpiceSession {
  UsherSpiceSessions *sessions;
  char ticket_hash[USHER_TOKEN_HASH_SIZE]; /* the key in the table */
  State state;
  gboolean answer_pending;
  char *client_address;
  UsherRedeemed *redeemed;
  guint32 spice_id;
  UsherSpiceChannel *main;
  GPtrArray *channels; /* the others; borrowed */
  guint64 to_client, to_desktop;
};

struct _UsherSpiceSessions {
  const UsherSpiceContext *context;
  GHashTable *by_ticket; /* hash → UsherSpiceSession */
};

static void
free_session (gpointer data)
{
  UsherSpiceSession *session = data;
  g_free (session->client_address);
  usher_redeemed_free (session->redeemed);
  g_ptr_array_unref (session->channels);
  g_free (session);
}

static void
log_session (const UsherSpiceSession *session, UsherLogLevel level, const char *what, const char *why)
{
  const UsherRedeemAnswer *answer = session->redeemed != NULL ? session->redeemed->answer : NULL;
  const UsherLogContext context = {
    .session = answer != NULL ? answer->session : NULL,
    .desktop = answer != NULL ? answer->desktop : NULL,
    .user = answer != NULL ? answer->user : NULL,
    .address = session->client_address,
  };
  usher_log (level, &context, "session %s%s%s", what, why[0] != '\0' ? ": " : "", why);
}

/* --- telling the broker -------------------------------------------------------------------------- */

static void
tell (UsherSpiceSession *session, UsherSessionEventKind kind, const char *reason)
{
  UsherSessionEvent *event = g_new0 (UsherSessionEvent, 1);
  event->kind = kind;
  event->gateway = g_strdup (session->sessions->context->gateway);
  event->reason = g_strdup (reason);
  event->bytes_to_client = (gint64) session->to_client;
  event->bytes_to_desktop = (gint64) session->to_desktop;
  usher_broker_tell (session->sessions->context->broker, session->redeemed->answer->session, event);
}

static void
bury_if_free (UsherSpiceSession *session)
{
  if (session->state != STATE_ENDED || session->answer_pending)
    return;
  usher_loop_bury (session->sessions->context->loop, session, free_session);
}

static void
end_session (UsherSpiceSession *session, const char *reason)
{
  if (session->state == STATE_ENDED)
    return;
  session->state = STATE_ENDED;
  g_hash_table_remove (session->sessions->by_ticket, session->ticket_hash);
  g_autoptr (GPtrArray) channels = g_ptr_array_copy (session->channels, NULL, NULL);
  g_ptr_array_set_size (session->channels, 0);
  for (guint i = 0; i < channels->len; i++)
    usher_spice_channel_session_ended (channels->pdata[i], reason);
  if (session->main != NULL)
    usher_spice_channel_session_ended (g_steal_pointer (&session->main), reason);
  if (session->redeemed != NULL)
    {
      USHER_FAULT_POINT ("gateway.session-ended");
      log_session (session, USHER_LOG_INFO, "ended", reason);
      tell (session, USHER_SESSION_EVENT_DISCONNECTED, reason);
    }
  bury_if_free (session);
}

/* --- redeeming ----------------------------------------------------------------------------------- */

static void
refuse_main (UsherSpiceSession *session, UsherSpiceResult result, const char *why)
{
  UsherSpiceChannel *main = g_steal_pointer (&session->main);
  end_session (session, why);
  if (main != NULL)
    usher_spice_channel_refused (main, result, why);
}

static UsherSpiceResult
result_of (const GError *error)
{
  /* No, or could not find out: the viewer can ask for another ticket after the first, wait after the second. */
  const gboolean no = g_error_matches (error, USHER_ERROR, USHER_ERROR_UNAUTHENTICATED)
                      || g_error_matches (error, USHER_ERROR, USHER_ERROR_REFUSED);
  return no ? USHER_SPICE_PERMISSION_DENIED : USHER_SPICE_ERROR;
}

static void
on_redeemed (UsherRedeemed *redeemed, const GError *error, gpointer user_data)
{
  UsherSpiceSession *session = user_data;
  session->answer_pending = FALSE;
  if (redeemed == NULL)
    {
      if (session->state != STATE_ENDED)
        refuse_main (session, result_of (error), error->message);
      else
        bury_if_free (session);
      return;
    }
  USHER_FAULT_POINT ("gateway.ticket-redeemed");
  session->redeemed = redeemed;
  if (session->state == STATE_ENDED) /* the client left meanwhile; the ticket is spent all the same */
    {
      tell (session, USHER_SESSION_EVENT_DISCONNECTED, "the client left before it was linked");
      bury_if_free (session);
      return;
    }
  if (redeemed->answer->service != USHER_SERVICE_SPICE)
    {
      refuse_main (session, USHER_SPICE_PERMISSION_DENIED, "the ticket is for another service than SPICE");
      return;
    }
  session->state = STATE_LINKING;
  log_session (session, USHER_LOG_INFO, "redeemed", "");
  usher_spice_channel_redeemed (session->main);
}

static UsherRedeemRequest *
redeem_request (const UsherSpiceContext *context, const UsherSecret *ticket, const char *client_address, const char *carrier)
{
  UsherRedeemRequest *request = g_new0 (UsherRedeemRequest, 1);
  request->ticket = g_strdup (usher_secret_peek (ticket));
  request->gateway = g_strdup (context->gateway);
  request->client_address = g_strdup (client_address);
  request->carrier = g_strdup (carrier);
  return request;
}

static void
on_reuse_refused (UsherRedeemed *redeemed, const GError *error, gpointer user_data)
{
  g_clear_pointer (&redeemed, usher_redeemed_free);
}

/* A ticket that a session here was made with is shown again: it is refused whatever the broker says, and the broker
 * hears of it so that the audit trail does. Not while the first redeem is under way: this one might come before it. */
static void
report_reuse (const UsherSpiceSession *session, const UsherSecret *ticket, const char *client_address, const char *carrier)
{
  const UsherSpiceContext *context = session->sessions->context;
  if (!session->answer_pending)
    usher_broker_redeem (context->broker, redeem_request (context, ticket, client_address, carrier), context->redeem_ms,
                         on_reuse_refused, NULL);
}

UsherSpiceSession *
usher_spice_session_begin (UsherSpiceSessions *sessions, const UsherSecret *ticket, const char *client_address,
                           const char *carrier, UsherSpiceChannel *main)
{
  char hash[USHER_TOKEN_HASH_SIZE];
  usher_token_hash (usher_secret_peek (ticket), hash);
  const UsherSpiceSession *held = g_hash_table_lookup (sessions->by_ticket, hash);
  if (held != NULL)
    {
      report_reuse (held, ticket, client_address, carrier);
      return NULL;
    }
  UsherSpiceSession *session = g_new0 (UsherSpiceSession, 1);
  session->sessions = sessions;
  g_strlcpy (session->ticket_hash, hash, sizeof session->ticket_hash);
  session->client_address = g_strdup (client_address);
  session->main = main;
  session->channels = g_ptr_array_new ();
  session->answer_pending = TRUE;
  g_hash_table_insert (sessions->by_ticket, session->ticket_hash, session);

  UsherRedeemRequest *request = redeem_request (sessions->context, ticket, client_address, carrier);
  usher_broker_redeem (sessions->context->broker, request, sessions->context->redeem_ms, on_redeemed, session);
  return session;
}

/* --- channels ------------------------------------------------------------------------------------ */

UsherSpiceSession *
usher_spice_session_join (UsherSpiceSessions *sessions, const UsherSecret *ticket, guint32 connection_id,
                          UsherSpiceChannel *channel, UsherSpiceResult *out_result)
{
  char hash[USHER_TOKEN_HASH_SIZE];
  usher_token_hash (usher_secret_peek (ticket), hash);
  UsherSpiceSession *session = g_hash_table_lookup (sessions->by_ticket, hash);
  const gboolean known = session != NULL && session->state == STATE_ACTIVE && session->spice_id == connection_id;
  if (!known)
    {
      *out_result = session == NULL ? USHER_SPICE_PERMISSION_DENIED : USHER_SPICE_BAD_CONNECTION_ID;
      return NULL;
    }
  g_ptr_array_add (session->channels, channel);
  return session;
}

const UsherRedeemed *
usher_spice_session_redeemed (const UsherSpiceSession *session)
{
  return session->redeemed;
}

void
usher_spice_session_activate (UsherSpiceSession *session, guint32 spice_id)
{
  session->state = STATE_ACTIVE;
  session->spice_id = spice_id;
  log_session (session, USHER_LOG_INFO, "active", "");
  tell (session, USHER_SESSION_EVENT_ACTIVE, "");
}

void
usher_spice_session_add_bytes (UsherSpiceSession *session, guint64 to_client, guint64 to_desktop)
{
  session->to_client += to_client;
  session->to_desktop += to_desktop;
}

void
usher_spice_session_leave (UsherSpiceSession *session, UsherSpiceChannel *channel, const char *reason)
{
  if (channel == session->main)
    {
      session->main = NULL;
      end_session (session, reason);
      return;
    }
  g_ptr_array_remove (session->channels, channel);
}

/* --- the table ----------------------------------------------------------------------------------- */

UsherSpiceSessions *
usher_spice_sessions_new (const UsherSpiceContext *context)
{
  UsherSpiceSessions *sessions = g_new0 (UsherSpiceSessions, 1);
  sessions->context = context;
  sessions->by_ticket = g_hash_table_new (g_str_hash, g_str_equal);
  return sessions;
}

guint
usher_spice_sessions_count (const UsherSpiceSessions *sessions)
{
  return g_hash_table_size (sessions->by_ticket);
}

void
usher_spice_sessions_end_all (UsherSpiceSessions *sessions, const char *reason)
{
  g_autoptr (GList) all = g_hash_table_get_values (sessions->by_ticket);
  for (GList *l = all; l != NULL; l = l->next)
    end_session (l->data, reason);
}

void
usher_spice_sessions_free (UsherSpiceSessions *sessions)
{
  if (sessions == NULL)
    return;
  usher_spice_sessions_end_all (sessions, "gateway stopped");
  g_hash_table_unref (sessions->by_ticket);
  g_free (sessions);
}
