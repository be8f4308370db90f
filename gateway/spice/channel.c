#include "gateway/spice/channel.h"
#include <string.h>
#include "common/id.h"
#include "common/log.h"
#include "common/relay/relay.h"
#include "gateway/spice/upstream.h"

#define KEY_RETRY_MS 50
#define REFUSE_MS 5000
#define HALF_CLOSED_MS 500 /* SPICE has no half-close: this lets the last bytes out */
#define CLIENT_CLOSED "client closed"
#define DESKTOP_CLOSED "desktop closed"

typedef enum {
  STATE_LINK,   /* the client's link message is awaited */
  STATE_KEY,    /* a key for the answer is awaited */
  STATE_TICKET, /* the encrypted ticket is awaited */
  STATE_REDEEM, /* the broker was asked */
  STATE_REACH,  /* the desktop is being linked with */
  STATE_INIT,   /* (main) the desktop's first message is awaited; the result goes out */
  STATE_RELAY,
  STATE_REFUSE, /* the refusal goes out */
  STATE_OVER,
} State;

struct _UsherSpiceChannel {
  const UsherSpiceContext *context;
  UsherSpiceChannelDone done;
  gpointer user_data;
  State state;
  char *address;
  const char *carrier;
  UsherStream *client, *desktop;
  UsherBuffer in, out; /* from and to the client, until the relay */
  UsherBuffer desktop_in; /* (main) looked at for the session's id */
  UsherSpiceLink link;
  UsherLinkKey *key;
  UsherSpiceSession *session;
  UsherSpiceUpstream *upstream;
  UsherRelay *relay;
  UsherTimer timer, key_retry;
  UsherTask begin;
};

static void pump (gpointer user_data);

static void
log_channel (const UsherSpiceChannel *self, UsherLogLevel level, const char *what, const char *why)
{
  const UsherRedeemed *redeemed = self->session != NULL ? usher_spice_session_redeemed (self->session) : NULL;
  const UsherLogContext context = {
    .session = redeemed != NULL ? redeemed->answer->session : NULL,
    .desktop = redeemed != NULL ? redeemed->answer->desktop : NULL,
    .address = self->address,
  };
  usher_log (level, &context, "SPICE %s channel %s: %s", usher_spice_channel_name (self->link.channel_type), what, why);
}

/* --- the end --------------------------------------------------------------------------------------- */

static void
free_channel (gpointer data)
{
  UsherSpiceChannel *self = data;
  g_free (self->address);
  g_free (self);
}

/* Gives everything back; the struct itself lives until the end of the turn. */
static void
close_channel (UsherSpiceChannel *self, const char *reason)
{
  if (self->state == STATE_OVER)
    return;
  self->state = STATE_OVER;
  UsherLoop *loop = self->context->loop;
  usher_task_cancel (loop, &self->begin);
  usher_timer_disarm (loop, &self->timer);
  usher_timer_disarm (loop, &self->key_retry);
  if (self->session != NULL && self->relay != NULL)
    usher_spice_session_add_bytes (self->session, usher_relay_bytes_to_a (self->relay), usher_relay_bytes_to_b (self->relay));
  g_clear_pointer (&self->relay, usher_relay_free);
  g_clear_pointer (&self->upstream, usher_spice_upstream_free);
  usher_buffer_clear (&self->in);
  usher_buffer_clear (&self->out);
  usher_buffer_clear (&self->desktop_in);
  g_clear_pointer (&self->key, usher_link_key_unref);
  g_clear_pointer (&self->client, usher_stream_free);
  g_clear_pointer (&self->desktop, usher_stream_free);
  UsherSpiceSession *session = g_steal_pointer (&self->session);
  if (session != NULL)
    usher_spice_session_leave (session, self, reason);
  self->done (self->user_data);
  usher_loop_bury (loop, self, free_channel);
}

void
usher_spice_channel_end (UsherSpiceChannel *channel, const char *reason)
{
  close_channel (channel, reason);
}

void
usher_spice_channel_session_ended (UsherSpiceChannel *channel, const char *reason)
{
  if (channel->state == STATE_OVER)
    return;
  if (channel->relay != NULL)
    usher_spice_session_add_bytes (channel->session, usher_relay_bytes_to_a (channel->relay),
                                   usher_relay_bytes_to_b (channel->relay));
  channel->session = NULL; /* it forgot us */
  close_channel (channel, reason);
}

static void
on_timeout (gpointer user_data)
{
  UsherSpiceChannel *self = user_data;
  log_channel (self, USHER_LOG_INFO, "dropped", "the client took too long");
  close_channel (self, "the client took too long");
}

/* The client gets `result` as its link result; then the end. */
static void
refuse (UsherSpiceChannel *self, UsherSpiceResult result, const char *why)
{
  const guint32 wire = GUINT32_TO_LE ((guint32) result);
  log_channel (self, USHER_LOG_NOTICE, "refused", why);
  self->state = STATE_REFUSE;
  usher_timer_arm (self->context->loop, &self->timer, REFUSE_MS, on_timeout, self);
  usher_buffer_append (&self->out, &wire, sizeof wire);
  pump (self);
}

/* As refuse(), in place of the link's answer: there is no key yet. */
static void
refuse_link (UsherSpiceChannel *self, UsherSpiceResult result, const char *why)
{
  const UsherSpiceReply reply = { .error = (guint32) result };
  log_channel (self, USHER_LOG_NOTICE, "refused", why);
  if (result == USHER_SPICE_INVALID_MAGIC)
    {
      close_channel (self, why);
      return;
    }
  g_autoptr (GByteArray) bytes = usher_spice_reply_build (&reply);
  usher_buffer_append (&self->out, bytes->data, bytes->len);
  self->state = STATE_REFUSE;
  usher_timer_arm (self->context->loop, &self->timer, REFUSE_MS, on_timeout, self);
}

/* --- the client's link stage ------------------------------------------------------------------------- */

static gboolean
step_link (UsherSpiceChannel *self)
{
  UsherSpiceResult result = USHER_SPICE_OK;
  UsherSpiceCaps common, channel;
  g_autoptr (GError) error = NULL;
  const gssize used = usher_spice_link_parse (usher_buffer_peek (&self->in), usher_buffer_length (&self->in), &self->link,
                                              &result, &error);
  if (used == 0)
    return FALSE;
  if (used < 0)
    {
      refuse_link (self, result, error->message);
      return TRUE;
    }
  usher_buffer_consume (&self->in, (guint) used);
  if (!usher_spice_caps_announced (self->link.channel_type, &common, &channel))
    refuse_link (self, USHER_SPICE_CHANNEL_NOT_AVAILABLE, "there is no such channel");
  else if (self->link.channel_type == USHER_SPICE_CHANNEL_MAIN && self->link.connection_id != 0)
    refuse_link (self, USHER_SPICE_BAD_CONNECTION_ID, "a main link to a session that is not migrating");
  else if (self->link.channel_type != USHER_SPICE_CHANNEL_MAIN && self->link.connection_id == 0)
    refuse_link (self, USHER_SPICE_BAD_CONNECTION_ID, "a channel without a session");
  else
    self->state = STATE_KEY;
  return TRUE;
}

static gboolean
step_key (UsherSpiceChannel *self)
{
  self->key = usher_key_pool_take (self->context->keys);
  if (self->key == NULL)
    {
      usher_timer_arm (self->context->loop, &self->key_retry, KEY_RETRY_MS, pump, self);
      return FALSE;
    }
  UsherSpiceReply reply = { .error = USHER_SPICE_OK };
  memcpy (reply.key, usher_link_key_der (self->key), sizeof reply.key);
  usher_spice_caps_announced (self->link.channel_type, &reply.common, &reply.channel);
  g_autoptr (GByteArray) bytes = usher_spice_reply_build (&reply);
  usher_buffer_append (&self->out, bytes->data, bytes->len);
  self->state = STATE_TICKET;
  return TRUE;
}

static void
start_upstream (UsherSpiceChannel *self);

/* A ticket of good form: the main channel has it redeemed, another joins the session it made. */
static void
use_ticket (UsherSpiceChannel *self, const UsherSecret *ticket)
{
  UsherSpiceResult result = USHER_SPICE_PERMISSION_DENIED;
  UsherSpiceSessions *sessions = self->context->sessions;
  usher_timer_disarm (self->context->loop, &self->timer); /* from here each step has its own */
  if (self->link.channel_type == USHER_SPICE_CHANNEL_MAIN)
    {
      self->state = STATE_REDEEM;
      self->session = usher_spice_session_begin (sessions, ticket, self->address, self->carrier, self);
      if (self->session == NULL)
        refuse (self, result, "the ticket is in use");
      return;
    }
  self->session = usher_spice_session_join (sessions, ticket, self->link.connection_id, self, &result);
  if (self->session == NULL)
    refuse (self, result, result == USHER_SPICE_BAD_CONNECTION_ID ? "the ticket's session has another id"
                                                                  : "no session here has this ticket");
  else
    start_upstream (self);
}

static gboolean
step_ticket (UsherSpiceChannel *self)
{
  const gboolean selects = usher_spice_caps_have (&self->link.common, USHER_SPICE_CAP_AUTH_SELECTION);
  const guint head = selects ? 4 : 0;
  const guint8 *bytes = usher_buffer_peek (&self->in);
  guint32 mechanism = 0;
  if (usher_buffer_length (&self->in) < head + USHER_LINK_CIPHER_SIZE)
    return FALSE;
  if (selects)
    memcpy (&mechanism, bytes, sizeof mechanism);
  g_autoptr (UsherSecret) ticket = usher_link_key_decrypt (self->key, bytes + head);
  usher_buffer_consume (&self->in, head + USHER_LINK_CIPHER_SIZE);
  g_clear_pointer (&self->key, usher_link_key_unref);
  if (selects && GUINT32_FROM_LE (mechanism) != USHER_SPICE_AUTH_SPICE)
    refuse (self, USHER_SPICE_INVALID_DATA, "an authentication mechanism that was not offered");
  else if (ticket == NULL || !usher_token_is_valid (usher_secret_peek (ticket)))
    refuse (self, USHER_SPICE_PERMISSION_DENIED, "what it sent is not a ticket");
  else
    use_ticket (self, ticket);
  return TRUE;
}

/* --- the desktop --------------------------------------------------------------------------------------- */

static void
on_upstream (UsherStream *stream, UsherSpiceResult result, const char *why, gpointer user_data)
{
  UsherSpiceChannel *self = user_data;
  g_clear_pointer (&self->upstream, usher_spice_upstream_free);
  if (stream == NULL)
    {
      UsherSpiceSession *session = g_steal_pointer (&self->session);
      log_channel (self, USHER_LOG_WARNING, "did not reach its desktop", why);
      usher_spice_session_leave (session, self, why);
      refuse (self, result, why);
      return;
    }
  self->desktop = stream;
  usher_stream_set_ready (stream, pump, self);
  const guint32 wire = GUINT32_TO_LE (USHER_SPICE_OK);
  usher_buffer_append (&self->out, &wire, sizeof wire);
  self->state = STATE_INIT;
  usher_timer_arm (self->context->loop, &self->timer, self->context->reach_ms, on_timeout, self);
  pump (self);
}

static void
start_upstream (UsherSpiceChannel *self)
{
  self->state = STATE_REACH;
  self->upstream = usher_spice_upstream_new (self->context, usher_spice_session_redeemed (self->session), &self->link,
                                             on_upstream, self);
}

void
usher_spice_channel_redeemed (UsherSpiceChannel *channel)
{
  start_upstream (channel);
}

void
usher_spice_channel_refused (UsherSpiceChannel *channel, UsherSpiceResult result, const char *why)
{
  channel->session = NULL; /* it is gone */
  refuse (channel, result, why);
}

static void
on_relay_done (UsherRelayEnd end, gboolean client_first, gpointer user_data)
{
  UsherSpiceChannel *self = user_data;
  const char *reason = end == USHER_RELAY_IDLE ? "idle too long" : client_first ? CLIENT_CLOSED : DESKTOP_CLOSED;
  close_channel (self, reason);
}

static void
start_relay (UsherSpiceChannel *self)
{
  const UsherRelayLimits limits = { .half_closed_ms = HALF_CLOSED_MS };
  usher_timer_disarm (self->context->loop, &self->timer);
  usher_stream_unread (self->client, usher_buffer_peek (&self->in), usher_buffer_length (&self->in));
  usher_stream_unread (self->desktop, usher_buffer_peek (&self->desktop_in), usher_buffer_length (&self->desktop_in));
  usher_buffer_clear (&self->in);
  usher_buffer_clear (&self->desktop_in);
  self->state = STATE_RELAY;
  self->relay = usher_relay_new (self->context->loop, self->context->pool, self->client, self->desktop, &limits,
                                 on_relay_done, self);
}

/* The result is on its way. The main channel's first message holds the id that others join with, so it
 * is read before it is passed on. */
static gboolean
step_init (UsherSpiceChannel *self)
{
  if (usher_buffer_length (&self->out) > 0)
    return FALSE;
  if (self->link.channel_type != USHER_SPICE_CHANNEL_MAIN)
    {
      start_relay (self);
      return TRUE;
    }
  guint32 spice_id = 0;
  g_autoptr (GError) error = NULL;
  const gssize n = usher_buffer_fill (&self->desktop_in, self->desktop);
  const gssize seen = usher_spice_main_init_parse (usher_buffer_peek (&self->desktop_in), usher_buffer_length (&self->desktop_in),
                                                   usher_spice_caps_have (&self->link.common, USHER_SPICE_CAP_MINI_HEADER),
                                                   &spice_id, &error);
  if (seen == 0 && n > 0)
    return TRUE;
  if (seen == 0 && n == USHER_IO_AGAIN)
    return FALSE;
  if (seen <= 0)
    {
      log_channel (self, USHER_LOG_WARNING, "ended", error != NULL ? error->message : "the desktop closed it at once");
      close_channel (self, DESKTOP_CLOSED);
      return FALSE;
    }
  usher_spice_session_activate (self->session, spice_id);
  start_relay (self);
  return TRUE;
}

/* --- the pump -------------------------------------------------------------------------------------------- */

static gboolean
step_refuse (UsherSpiceChannel *self)
{
  if (usher_buffer_length (&self->out) == 0 && usher_stream_finish (self->client) != USHER_IO_AGAIN)
    close_channel (self, "refused");
  return FALSE;
}

static gboolean
step_wait (UsherSpiceChannel *self)
{
  return FALSE; /* someone else moves it on */
}

/* TRUE: it moved, look again. */
static gboolean (*const steps[]) (UsherSpiceChannel *) = {
  [STATE_LINK] = step_link, [STATE_KEY] = step_key, [STATE_TICKET] = step_ticket, [STATE_REDEEM] = step_wait,
  [STATE_REACH] = step_wait, [STATE_INIT] = step_init, [STATE_RELAY] = step_wait, [STATE_REFUSE] = step_refuse,
  [STATE_OVER] = step_wait,
};

/* Sends what waits and reads what came; FALSE when the client is gone. */
static gboolean
exchange (UsherSpiceChannel *self)
{
  while (usher_buffer_length (&self->out) > 0)
    {
      const gssize n = usher_buffer_drain (&self->out, self->client, G_MAXUINT64);
      if (n == USHER_IO_FAILED)
        return FALSE;
      if (n < 0)
        break;
    }
  if (usher_stream_flush (self->client) == USHER_IO_FAILED)
    return FALSE;
  if (self->state == STATE_REFUSE)
    return TRUE;
  gssize n;
  while ((n = usher_buffer_fill (&self->in, self->client)) > 0)
    ;
  return n != USHER_IO_END && n != USHER_IO_FAILED;
}

static void
pump (gpointer user_data)
{
  UsherSpiceChannel *self = user_data;
  gboolean again = TRUE;
  while (again && self->state != STATE_OVER && self->state != STATE_RELAY)
    {
      /* In the ticket stage a client may send its last bytes and end; nobody does, so an end is the end. */
      if (!exchange (self))
        {
          log_channel (self, USHER_LOG_INFO, "left by its client", usher_stream_reason (self->client));
          close_channel (self, CLIENT_CLOSED);
          return;
        }
      again = steps[self->state](self);
    }
}

UsherSpiceChannel *
usher_spice_channel_new (const UsherSpiceContext *context, UsherStream *client, const char *client_address,
                         const char *carrier, UsherSpiceChannelDone done, gpointer user_data)
{
  UsherSpiceChannel *self = g_new0 (UsherSpiceChannel, 1);
  self->context = context;
  self->done = done;
  self->user_data = user_data;
  self->address = g_strdup (client_address);
  self->carrier = carrier;
  self->client = client;
  usher_buffer_init (&self->in, context->pool);
  usher_buffer_init (&self->out, context->pool);
  usher_buffer_init (&self->desktop_in, context->pool);
  usher_stream_set_ready (client, pump, self);
  usher_timer_arm (context->loop, &self->timer, context->link_ms, on_timeout, self);
  usher_task_schedule (context->loop, &self->begin, pump, self); /* bytes may be there already */
  return self;
}

gboolean
usher_spice_channel_is_linked (const UsherSpiceChannel *channel)
{
  return channel->session != NULL;
}
