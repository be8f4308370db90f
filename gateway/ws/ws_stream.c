#include "gateway/ws/ws_stream.h"
#include <string.h>
#include <wslay/wslay.h>

#define HEAD_MAX 10     /* of a server's frame: no mask */
#define CONTROL_MAX 125 /* bytes of a control frame's payload */
#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

typedef struct {
  UsherStream base;
  UsherStream *carrier;
  wslay_frame_context_ptr frames;
  UsherBuffer out;         /* whole frames on their way out */
  const guint8 *payload;   /* received, in wslay's own buffer until its next call */
  gsize payload_length;
  guint64 frame_left;      /* of the frame being received */
  gboolean in_frame;
  guint8 opcode;
  guint8 control[CONTROL_MAX];
  gsize control_length;
  gboolean pong_wanted, message_open, close_received, close_sent;
  gssize carrier_result;   /* what the last read of the carrier gave */
} WsStream;

/* --- wslay's callbacks --------------------------------------------------------------------------- */

static ssize_t
frames_receive (uint8_t *bytes, size_t length, int flags, void *user_data)
{
  WsStream *self = user_data;
  self->carrier_result = usher_stream_read (self->carrier, bytes, length);
  return self->carrier_result > 0 ? self->carrier_result : -1;
}

/* Into the out buffer, where room was made sure of before. */
static ssize_t
frames_send (const uint8_t *bytes, size_t length, int flags, void *user_data)
{
  WsStream *self = user_data;
  return usher_buffer_append (&self->out, bytes, (guint) length) ? (ssize_t) length : -1;
}

static int
frames_mask (uint8_t *bytes, size_t length, void *user_data)
{
  return -1; /* a server never masks */
}

/* --- out --------------------------------------------------------------------------------------- */

static gssize
ws_flush (UsherStream *stream)
{
  WsStream *self = (WsStream *) stream;
  while (usher_buffer_length (&self->out) > 0)
    {
      const gssize n = usher_buffer_drain (&self->out, self->carrier, G_MAXUINT64);
      if (n == USHER_IO_FAILED)
        return usher_stream_fail (stream, "%s", usher_stream_reason (self->carrier));
      if (n < 0)
        return n;
    }
  return usher_stream_flush (self->carrier);
}

static gboolean
put_frame (WsStream *self, guint8 opcode, const guint8 *bytes, gsize length)
{
  if (USHER_BLOCK_SIZE - usher_buffer_length (&self->out) < HEAD_MAX + length)
    return FALSE;
  struct wslay_frame_iocb frame = {
    .fin = 1, .opcode = opcode, .payload_length = length, .data = bytes, .data_length = length,
  };
  return wslay_frame_send (self->frames, &frame) == (ssize_t) length;
}

static void
answer_ping (WsStream *self)
{
  if (self->pong_wanted && !self->close_sent && put_frame (self, WSLAY_PONG, self->control, self->control_length))
    self->pong_wanted = FALSE;
}

static gssize
ws_write (UsherStream *stream, const guint8 *bytes, gsize length)
{
  WsStream *self = (WsStream *) stream;
  const gssize r = ws_flush (stream);
  if (r != 0)
    return r;
  answer_ping (self);
  const gsize room = USHER_BLOCK_SIZE - usher_buffer_length (&self->out) - HEAD_MAX;
  const gsize n = MIN (length, room);
  if (n == 0 || !put_frame (self, WSLAY_BINARY_FRAME, bytes, n))
    return USHER_IO_AGAIN; /* the pool is empty */
  return ws_flush (stream) == USHER_IO_FAILED ? USHER_IO_FAILED : (gssize) n;
}

static gssize
ws_finish (UsherStream *stream)
{
  static const guint8 normal[] = { 1000 >> 8, 1000 & 0xff };
  WsStream *self = (WsStream *) stream;
  if (!self->close_sent)
    {
      if (!put_frame (self, WSLAY_CONNECTION_CLOSE, normal, sizeof normal))
        return USHER_IO_AGAIN;
      self->close_sent = TRUE;
    }
  const gssize r = ws_flush (stream);
  return r == 0 ? usher_stream_finish (self->carrier) : r;
}

/* --- in ---------------------------------------------------------------------------------------- */

/* A frame has begun: is it one that a client may send now? */
static gboolean
check_frame (WsStream *self, const struct wslay_frame_iocb *frame)
{
  const char *wrong = NULL;
  const gboolean control = wslay_is_ctrl_frame (frame->opcode);
  if (!frame->mask)
    wrong = "an unmasked frame";
  else if (frame->rsv != 0)
    wrong = "reserved bits set";
  else if (frame->opcode > WSLAY_PONG)
    wrong = "a reserved opcode";
  else if (control && (frame->payload_length > CONTROL_MAX || !frame->fin))
    wrong = "a long or fragmented control frame";
  else if (!control && frame->opcode != WSLAY_BINARY_FRAME && frame->opcode != WSLAY_CONTINUATION_FRAME)
    wrong = "a frame that is not binary";
  else if (!control && (frame->opcode == WSLAY_CONTINUATION_FRAME) != self->message_open)
    wrong = "a fragment out of order";
  if (wrong != NULL)
    {
      usher_stream_fail (&self->base, "WebSocket: %s", wrong);
      return FALSE;
    }
  if (!control)
    self->message_open = !frame->fin;
  self->opcode = frame->opcode;
  self->frame_left = frame->payload_length;
  self->in_frame = TRUE;
  if (control)
    self->control_length = 0;
  return TRUE;
}

static void
end_frame (WsStream *self)
{
  self->in_frame = FALSE;
  if (self->opcode == WSLAY_CONNECTION_CLOSE)
    self->close_received = TRUE;
  if (self->opcode == WSLAY_PING)
    self->pong_wanted = TRUE;
  answer_ping (self);
}

/* The carrier had no more: as receive(). */
static gboolean
carrier_stopped (WsStream *self, gssize *out_result)
{
  *out_result = self->carrier_result;
  if (self->carrier_result == USHER_IO_FAILED)
    usher_stream_fail (&self->base, "%s", usher_stream_reason (self->carrier));
  if (self->carrier_result == USHER_IO_END && self->in_frame)
    *out_result = usher_stream_fail (&self->base, "WebSocket: ended within a frame");
  if (self->carrier_result == USHER_IO_END)
    self->close_received = TRUE;
  return FALSE;
}

/* Receives some of a frame: TRUE to go on, else *out_result is to be given. */
static gboolean
receive (WsStream *self, gssize *out_result)
{
  struct wslay_frame_iocb frame = { 0 };
  self->carrier_result = USHER_IO_AGAIN;
  const ssize_t n = wslay_frame_recv (self->frames, &frame);
  if (n == WSLAY_ERR_WANT_READ)
    return carrier_stopped (self, out_result);
  *out_result = USHER_IO_FAILED;
  if (n < 0)
    usher_stream_fail (&self->base, "WebSocket: malformed frame");
  if (n < 0 || (!self->in_frame && !check_frame (self, &frame)))
    return FALSE;
  if (wslay_is_ctrl_frame (self->opcode))
    {
      const gsize room = CONTROL_MAX - self->control_length, take = MIN (frame.data_length, room);
      if (take > 0)
        memcpy (self->control + self->control_length, frame.data, take);
      self->control_length += take;
    }
  else
    {
      self->payload = frame.data;
      self->payload_length = frame.data_length;
    }
  self->frame_left -= MIN (self->frame_left, frame.data_length);
  if (self->frame_left == 0)
    end_frame (self);
  return TRUE;
}

static gssize
ws_read (UsherStream *stream, guint8 *bytes, gsize length)
{
  WsStream *self = (WsStream *) stream;
  while (self->payload_length == 0)
    {
      if (self->close_received)
        return USHER_IO_END;
      gssize result = USHER_IO_END;
      const gboolean more = receive (self, &result);
      if (!more || self->close_received)
        ws_flush (stream); /* a pong may wait */
      if (!more)
        return result;
    }
  const gsize n = MIN (length, self->payload_length);
  memcpy (bytes, self->payload, n);
  self->payload += n;
  self->payload_length -= n;
  return (gssize) n;
}

/* --- the whole ----------------------------------------------------------------------------------- */

static void
ws_free (UsherStream *stream)
{
  WsStream *self = (WsStream *) stream;
  usher_buffer_clear (&self->out);
  wslay_frame_context_free (self->frames);
  usher_stream_free (self->carrier);
  g_free (self);
}

static const UsherStreamClass ws_class = {
  .name = "WebSocket",
  .read = ws_read,
  .write = ws_write,
  .flush = ws_flush,
  .finish = ws_finish,
  .free = ws_free,
};

static void
ws_ready (gpointer user_data)
{
  UsherStream *stream = user_data;
  if (stream->ready != NULL)
    stream->ready (stream->user_data);
}

UsherStream *
usher_ws_stream_new (UsherStream *carrier, UsherPool *pool)
{
  static const struct wslay_frame_callbacks callbacks = { frames_send, frames_receive, frames_mask };
  WsStream *self = g_new0 (WsStream, 1);
  self->base.klass = &ws_class;
  self->carrier = carrier;
  usher_buffer_init (&self->out, pool);
  if (wslay_frame_context_init (&self->frames, &callbacks, self) != 0)
    g_error ("no memory for a WebSocket"); /* as g_malloc() does */
  usher_stream_set_ready (carrier, ws_ready, self);
  return &self->base;
}

char *
usher_ws_accept_key (const char *key)
{
  guint8 digest[20];
  gsize length = sizeof digest;
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA1);
  g_checksum_update (sum, (const guchar *) key, -1);
  g_checksum_update (sum, (const guchar *) GUID, -1);
  g_checksum_get_digest (sum, digest, &length);
  return g_base64_encode (digest, length);
}
