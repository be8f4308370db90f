#include "gateway/spice/upstream.h"
#include <string.h>
#include "common/error.h"
#include "common/fault.h"
#include "common/rpc/door.h"

typedef enum { STATE_GREETING, STATE_LINKING, STATE_RESULT, STATE_OVER } State;

struct _UsherSpiceUpstream {
  const UsherSpiceContext *context;
  const UsherRedeemed *redeemed;
  const UsherSpiceLink *link;
  UsherSpiceUpstreamDone done;
  gpointer user_data;
  State state;
  UsherStream *stream;
  UsherBuffer in, out;
  UsherTask start;
  UsherTimer timer;
};

static void
finish (UsherSpiceUpstream *self, UsherSpiceResult result, const char *why)
{
  if (self->state == STATE_OVER)
    return;
  self->state = STATE_OVER;
  usher_timer_disarm (self->context->loop, &self->timer);
  UsherStream *stream = result == USHER_SPICE_OK ? g_steal_pointer (&self->stream) : NULL;
  if (stream != NULL)
    {
      usher_stream_set_ready (stream, NULL, NULL);
      usher_stream_unread (stream, usher_buffer_peek (&self->in), usher_buffer_length (&self->in));
    }
  self->done (stream, result, why, self->user_data); /* may free self */
}

static void
on_timeout (gpointer user_data)
{
  finish (user_data, USHER_SPICE_ERROR, "the desktop took too long to answer");
}

/* --- what comes in, by state: TRUE when a whole message was there ---------------------------------- */

static gboolean
take_greeting (UsherSpiceUpstream *self)
{
  UsherDoorStatus status;
  g_autofree char *message = NULL;
  g_autoptr (GError) error = NULL;
  const gssize used = usher_door_answer_parse (usher_buffer_peek (&self->in), usher_buffer_length (&self->in), &status,
                                               &message, &error);
  if (used == 0)
    return FALSE;
  if (used < 0 || status != USHER_DOOR_OK)
    {
      g_autofree char *why = g_strdup_printf ("the door: %s", used < 0 ? error->message : message);
      finish (self, USHER_SPICE_ERROR, why);
      return FALSE;
    }
  usher_buffer_consume (&self->in, (guint) used);
  g_autoptr (GByteArray) link = usher_spice_link_build (self->link);
  usher_buffer_append (&self->out, link->data, link->len);
  self->state = STATE_LINKING;
  return TRUE;
}

static gboolean
send_secret (UsherSpiceUpstream *self, const UsherSpiceReply *reply, GError **error)
{
  guint8 cipher[USHER_LINK_CIPHER_SIZE];
  const guint32 mechanism = GUINT32_TO_LE (USHER_SPICE_AUTH_SPICE);
  if (!usher_link_key_encrypt (reply->key, self->redeemed->answer->secret, cipher, error))
    return FALSE;
  if (usher_spice_caps_have (&self->link->common, USHER_SPICE_CAP_AUTH_SELECTION))
    usher_buffer_append (&self->out, &mechanism, sizeof mechanism);
  usher_buffer_append (&self->out, cipher, sizeof cipher);
  return TRUE;
}

static gboolean
take_reply (UsherSpiceUpstream *self)
{
  UsherSpiceReply reply;
  UsherSpiceCaps common, channel;
  g_autoptr (GError) error = NULL;
  const gssize used
      = usher_spice_reply_parse (usher_buffer_peek (&self->in), usher_buffer_length (&self->in), &reply, &error);
  if (used == 0)
    return FALSE;
  const guint type = self->link->channel_type;
  if (used < 0)
    finish (self, USHER_SPICE_ERROR, error->message);
  else if (reply.error != USHER_SPICE_OK)
    finish (self, reply.error, "the desktop refused the link");
  else if (!usher_spice_caps_announced (type, &common, &channel) || !usher_spice_caps_cover (&reply.common, &common)
           || !usher_spice_caps_cover (&reply.channel, &channel))
    {
      g_autofree char *why = g_strdup_printf (
          "the desktop's capabilities for %s are 0x%x and 0x%x, the client was told 0x%x and 0x%x",
          usher_spice_channel_name (type), reply.common.count > 0 ? reply.common.words[0] : 0,
          reply.channel.count > 0 ? reply.channel.words[0] : 0, common.words[0], channel.count > 0 ? channel.words[0] : 0);
      finish (self, USHER_SPICE_ERROR, why);
    }
  else if (!send_secret (self, &reply, &error))
    finish (self, USHER_SPICE_ERROR, error->message);
  if (self->state == STATE_OVER)
    return FALSE;
  usher_buffer_consume (&self->in, (guint) used);
  self->state = STATE_RESULT;
  return TRUE;
}

static gboolean
take_result (UsherSpiceUpstream *self)
{
  guint32 result = 0;
  if (usher_buffer_length (&self->in) < sizeof result)
    return FALSE;
  memcpy (&result, usher_buffer_peek (&self->in), sizeof result);
  usher_buffer_consume (&self->in, sizeof result);
  result = GUINT32_FROM_LE (result);
  USHER_FAULT_POINT ("gateway.desktop-linked");
  finish (self, result, result == USHER_SPICE_OK ? "" : "the desktop refused its secret");
  return FALSE;
}

static gboolean (*const takers[]) (UsherSpiceUpstream *) = {
  [STATE_GREETING] = take_greeting,
  [STATE_LINKING] = take_reply,
  [STATE_RESULT] = take_result,
};

static void
pump (gpointer user_data)
{
  UsherSpiceUpstream *self = user_data;
  gboolean again = TRUE;
  while (again && self->state != STATE_OVER)
    {
      if (usher_buffer_drain (&self->out, self->stream, G_MAXUINT64) == USHER_IO_FAILED)
        {
          g_autofree char *why = g_strdup_printf ("the door: %s", usher_stream_reason (self->stream));
          finish (self, USHER_SPICE_ERROR, why);
          return;
        }
      const gssize n = usher_buffer_fill (&self->in, self->stream);
      again = n > 0;
      while (self->state != STATE_OVER && takers[self->state](self))
        again = TRUE;
      if (self->state != STATE_OVER && (n == USHER_IO_END || n == USHER_IO_FAILED))
        {
          g_autofree char *why = g_strdup_printf ("the door: %s", usher_stream_reason (self->stream));
          finish (self, USHER_SPICE_ERROR, n == USHER_IO_END ? "the desktop closed the connection within the link" : why);
        }
    }
}

/* --- beginning ----------------------------------------------------------------------------------- */

static gboolean
connect_door (UsherSpiceUpstream *self, GError **error)
{
  const UsherSpiceContext *context = self->context;
  const UsherRedeemed *redeemed = self->redeemed;
  const gboolean is_unix = usher_address_is_unix (&redeemed->door);
  UsherGrant grant;
  if (is_unix)
    {
      self->stream = usher_socket_stream_connect (context->loop, &redeemed->door, error);
      return self->stream != NULL;
    }
  if (context->door_tls == NULL)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "%s wants TLS and [doors] names no certificate",
                   redeemed->answer->door);
      return FALSE;
    }
  /* A host's certificate is for its id, and the grant says which host it is for. */
  if (!usher_grant_peek (redeemed->answer->grant, &grant, error))
    return FALSE;
  const int fd = usher_socket_connect (&redeemed->door, error);
  if (fd >= 0)
    self->stream = usher_tls_stream_new (context->door_tls, context->loop, fd, grant.host, error);
  return self->stream != NULL;
}

static void
start (gpointer user_data)
{
  UsherSpiceUpstream *self = user_data;
  g_autoptr (GError) error = NULL;
  if (!connect_door (self, &error))
    {
      g_autofree char *why = g_strdup_printf ("the door: %s", error->message);
      finish (self, USHER_SPICE_ERROR, why);
      return;
    }
  usher_stream_set_ready (self->stream, pump, self);
  g_autoptr (GByteArray) greeting = usher_door_request (self->redeemed->answer->service, self->redeemed->answer->grant);
  usher_buffer_append (&self->out, greeting->data, greeting->len);
  pump (self);
}

UsherSpiceUpstream *
usher_spice_upstream_new (const UsherSpiceContext *context, const UsherRedeemed *redeemed, const UsherSpiceLink *link,
                          UsherSpiceUpstreamDone done, gpointer user_data)
{
  UsherSpiceUpstream *self = g_new0 (UsherSpiceUpstream, 1);
  self->context = context;
  self->redeemed = redeemed;
  self->link = link;
  self->done = done;
  self->user_data = user_data;
  usher_buffer_init (&self->in, context->pool);
  usher_buffer_init (&self->out, context->pool);
  usher_timer_arm (context->loop, &self->timer, context->reach_ms, on_timeout, self);
  usher_task_schedule (context->loop, &self->start, start, self);
  return self;
}

void
usher_spice_upstream_free (UsherSpiceUpstream *upstream)
{
  if (upstream == NULL)
    return;
  upstream->state = STATE_OVER;
  usher_task_cancel (upstream->context->loop, &upstream->start);
  usher_timer_disarm (upstream->context->loop, &upstream->timer);
  usher_buffer_clear (&upstream->in);
  usher_buffer_clear (&upstream->out);
  usher_stream_free (upstream->stream);
  upstream->stream = NULL;
  usher_loop_bury (upstream->context->loop, upstream, g_free);
}
