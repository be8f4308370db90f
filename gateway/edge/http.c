#include "gateway/edge/http.h"
#include <string.h>
#include "common/error.h"
#include "common/fault.h"
#include "common/id.h"
#include "common/log.h"
#include "gateway/edge/http_body.h"
#include "gateway/edge/upgrade.h"
#include "gateway/ws/ws_stream.h"

#define MOVES_A_PUMP 64
#define LINGER_MS 2000 /* for a client that still sends while it is told no */
#define LINGER_MAX (256 * 1024)

typedef enum {
  STATE_IDLE,     /* between requests */
  STATE_HEAD,     /* some of a request's head is there */
  STATE_EXCHANGE, /* request and answer pass by */
  STATE_UPGRADE,  /* the 101 goes out */
  STATE_LAST,     /* what is in to_client goes out, then the end */
  STATE_LINGER,   /* what still comes is thrown away */
  STATE_OVER,
} State;

/* Text on its way out. */
typedef struct {
  char *text;
  gsize length, sent;
} Outgoing;

struct _UsherHttp {
  const UsherHttpContext *context;
  UsherHttpDone done;
  gpointer user_data;
  char *address;
  State state;
  UsherStream *client, *upstream;
  UsherBuffer in, upstream_in;
  Outgoing to_client, to_upstream;
  UsherHttpRequest *request;
  char *request_id;
  guint64 body_left;           /* of the request, still to come from the client */
  gboolean upstream_used;      /* it carried an earlier request, so it may have died meanwhile */
  gboolean answered;           /* some of the answer came */
  UsherHttpResponse *response; /* its head came */
  UsherHttpBody body;
  guint scanned;               /* bytes at the front of upstream_in that belong to the body */
  gboolean close_after, client_ended;
  guint64 lingered;
  UsherTimer timer;
  gint64 moved_at_ms;
  UsherTask again;
};

static void pump (gpointer user_data);
static void on_still (gpointer user_data);

static void
outgoing_set (Outgoing *out, char *text)
{
  g_free (out->text);
  *out = (Outgoing){ text, text != NULL ? strlen (text) : 0, 0 };
}

/* 1: all gone; else as usher_stream_write(). */
static gssize
outgoing_drain (Outgoing *out, UsherStream *stream)
{
  while (out->sent < out->length)
    {
      const gssize n = usher_stream_write (stream, (const guint8 *) out->text + out->sent, out->length - out->sent);
      if (n < 0)
        return n;
      out->sent += (gsize) n;
    }
  if (out->text != NULL)
    outgoing_set (out, NULL);
  return 1;
}

/* The path without its query: people put secrets there. */
static void
log_http (const UsherHttp *self, UsherLogLevel level, guint status, const char *message)
{
  const UsherLogContext context = { .request = self->request_id, .address = self->address };
  const char *method = self->request != NULL ? usher_http_request_method (self->request) : "-";
  const char *target = self->request != NULL ? usher_http_request_target (self->request) : "-";
  usher_log (level, &context, "%s %.*s: %u%s%s", method, (int) strcspn (target, "?"), target, status,
             message[0] != '\0' ? " " : "", message);
}

static void
arm (UsherHttp *self, guint ms)
{
  self->moved_at_ms = usher_loop_now_ms (self->context->loop);
  usher_timer_arm (self->context->loop, &self->timer, ms, on_still, self);
}

static void
drop_upstream (UsherHttp *self)
{
  usher_buffer_clear (&self->upstream_in);
  g_clear_pointer (&self->upstream, usher_stream_free);
  outgoing_set (&self->to_upstream, NULL);
  self->upstream_used = FALSE;
}

static void
finish (UsherHttp *self, UsherStream *upgraded)
{
  if (self->state == STATE_OVER)
    return;
  self->state = STATE_OVER;
  usher_task_cancel (self->context->loop, &self->again);
  usher_timer_disarm (self->context->loop, &self->timer);
  self->done (upgraded, self->user_data); /* may free self */
}

/* Answers with an error of our own, and ends the connection behind it: where a request's body was
 * not read to its end nothing after it can be trusted. */
static void
answer_error (UsherHttp *self, guint status, UsherError code, const char *message)
{
  if (self->request_id == NULL)
    self->request_id = usher_id_new ();
  log_http (self, status >= 500 ? USHER_LOG_WARNING : USHER_LOG_INFO, status, message);
  drop_upstream (self);
  if (self->answered) /* half an answer is out: nothing more can be said */
    {
      finish (self, NULL);
      return;
    }
  const gboolean with_body = self->request == NULL || !usher_http_request_is_head (self->request);
  outgoing_set (&self->to_client,
                usher_http_error_response (status, usher_error_name (code), message, self->request_id, with_body, TRUE));
  self->state = STATE_LAST;
  arm (self, self->context->head_ms);
}

static void
on_still (gpointer user_data)
{
  UsherHttp *self = user_data;
  const gint64 still_ms = usher_loop_now_ms (self->context->loop) - self->moved_at_ms;
  const guint limit = self->context->still_ms;
  if (self->state == STATE_EXCHANGE && still_ms < limit)
    {
      usher_timer_arm (self->context->loop, &self->timer, (guint) (limit - still_ms), on_still, self);
      return;
    }
  if (self->state == STATE_HEAD || (self->state == STATE_EXCHANGE && self->body_left > 0))
    answer_error (self, 408, USHER_ERROR_INVALID, "the request took too long to come");
  else if (self->state == STATE_EXCHANGE)
    answer_error (self, 503, USHER_ERROR_UNAVAILABLE, "the broker took too long to answer");
  else
    {
      finish (self, NULL);
      return;
    }
  pump (self);
}

/* --- a request begins --------------------------------------------------------------------------------- */

static gboolean
connect_upstream (UsherHttp *self)
{
  g_autoptr (GError) error = NULL;
  self->upstream = usher_socket_stream_connect (self->context->loop, &self->context->api, &error);
  if (self->upstream == NULL)
    {
      answer_error (self, 503, USHER_ERROR_UNAVAILABLE, "the broker is not there; try again in a moment");
      return FALSE;
    }
  usher_stream_set_ready (self->upstream, pump, self);
  return TRUE;
}

static void
start_exchange (UsherHttp *self)
{
  if (self->upstream == NULL && !connect_upstream (self))
    return;
  self->state = STATE_EXCHANGE;
  self->body_left = usher_http_request_body_length (self->request);
  self->answered = FALSE;
  self->scanned = 0;
  self->close_after = self->context->draining || !usher_http_request_keep_alive (self->request);
  outgoing_set (&self->to_upstream, usher_http_request_rewrite (self->request, self->address, self->request_id));
  if (usher_http_request_expects_continue (self->request) && self->body_left > 0)
    outgoing_set (&self->to_client, g_strdup ("HTTP/1.1 100 Continue\r\n\r\n"));
  arm (self, self->context->still_ms);
}

static void
start_upgrade (UsherHttp *self)
{
  g_autoptr (GError) error = NULL;
  char *answer = usher_upgrade_answer (self->request, self->context->origin, &error);
  if (answer == NULL)
    {
      const UsherError code = usher_error_code (error);
      answer_error (self, usher_error_http_status (code), code, error->message);
      return;
    }
  outgoing_set (&self->to_client, answer);
  self->state = STATE_UPGRADE;
  arm (self, self->context->head_ms);
}

/* IDLE and HEAD: looks for a whole head. */
static gboolean
step_head (UsherHttp *self)
{
  const guint length = usher_buffer_length (&self->in);
  const guint8 *bytes = usher_buffer_peek (&self->in);
  guint status = 400;
  g_autoptr (GError) error = NULL;
  if (length > 0 && self->state == STATE_IDLE)
    {
      self->state = STATE_HEAD;
      arm (self, self->context->head_ms);
    }
  const gsize head = usher_http_head_length (bytes, length);
  if (head == 0 && usher_buffer_is_full (&self->in))
    {
      answer_error (self, 431, USHER_ERROR_TOO_LARGE, "a head of more than 16384 bytes");
      return TRUE;
    }
  if (head == 0)
    {
      if (self->client_ended)
        finish (self, NULL);
      return FALSE;
    }
  self->answered = FALSE;
  self->request_id = usher_id_new ();
  self->request = usher_http_request_parse (bytes, head, &status, &error);
  if (self->request == NULL)
    {
      answer_error (self, status, usher_error_code (error), error->message);
      return TRUE;
    }
  usher_buffer_consume (&self->in, (guint) head);
  if (usher_upgrade_is_wanted (self->request))
    start_upgrade (self);
  else
    start_exchange (self);
  return TRUE;
}

/* --- request and answer pass by ------------------------------------------------------------------------ */

static void
end_exchange (UsherHttp *self)
{
  log_http (self, USHER_LOG_DEBUG, self->response->status, "");
  const gboolean reuse = self->response->keep_alive && self->body_left == 0 && usher_buffer_length (&self->upstream_in) == 0;
  const gboolean last = self->close_after || self->body_left > 0 || self->response->framing == USHER_HTTP_FRAME_CLOSE;
  g_clear_pointer (&self->response, usher_http_response_free);
  g_clear_pointer (&self->request, usher_http_request_free);
  g_clear_pointer (&self->request_id, g_free);
  if (!reuse)
    drop_upstream (self);
  self->upstream_used = self->upstream != NULL;
  self->state = last ? STATE_LAST : STATE_IDLE;
  arm (self, last ? self->context->head_ms : self->context->keep_alive_ms);
}

/* The broker's connection failed. One kept from an earlier request may have died between the two;
 * what can be repeated is, once. */
static gboolean
upstream_failed (UsherHttp *self)
{
  if (self->upstream_used && !self->answered && usher_http_request_body_length (self->request) == 0
      && (strcmp (usher_http_request_method (self->request), "GET") == 0 || usher_http_request_is_head (self->request)))
    {
      drop_upstream (self);
      start_exchange (self);
      return TRUE;
    }
  answer_error (self, 503, USHER_ERROR_UNAVAILABLE, "the broker is not there; try again in a moment");
  return TRUE;
}

static gboolean
send_request (UsherHttp *self, gboolean *moved)
{
  const gssize r = outgoing_drain (&self->to_upstream, self->upstream);
  if (r == USHER_IO_FAILED)
    return FALSE;
  if (r != 1 || self->body_left == 0)
    return TRUE;
  const gssize n = usher_buffer_drain (&self->in, self->upstream, self->body_left);
  if (n > 0)
    {
      self->body_left -= (guint64) n;
      *moved = TRUE;
    }
  return n != USHER_IO_FAILED;
}

/* Finds the answer's head at the front of upstream_in. FALSE: it is wrong. */
static gboolean
take_response_head (UsherHttp *self)
{
  g_autoptr (GError) error = NULL;
  const gsize head = usher_http_head_length (usher_buffer_peek (&self->upstream_in), usher_buffer_length (&self->upstream_in));
  if (head == 0)
    return !usher_buffer_is_full (&self->upstream_in);
  UsherHttpResponse *response
      = usher_http_response_parse (usher_buffer_peek (&self->upstream_in), head, self->request, self->close_after, &error);
  if (response == NULL)
    {
      log_http (self, USHER_LOG_ERROR, 502, error->message);
      return FALSE;
    }
  usher_buffer_consume (&self->upstream_in, (guint) head);
  if (response->status < 200)
    {
      usher_http_response_free (response);
      return take_response_head (self);
    }
  self->response = response;
  self->answered = TRUE;
  usher_http_body_init (&self->body, response->framing, response->length);
  /* "100 Continue" may be on its way still. */
  g_autofree char *before = g_strdup (self->to_client.text != NULL ? self->to_client.text + self->to_client.sent : "");
  outgoing_set (&self->to_client, g_strconcat (before, response->rewritten, NULL));
  return TRUE;
}

/* Body bytes that came go to the client. FALSE: one of the two failed, the exchange is over. */
static gboolean
pass_body (UsherHttp *self, gboolean *moved)
{
  g_autoptr (GError) error = NULL;
  const guint held = usher_buffer_length (&self->upstream_in);
  const gssize more = usher_http_body_scan (&self->body, usher_buffer_peek (&self->upstream_in) + self->scanned,
                                            held - self->scanned, &error);
  if (more < 0)
    {
      log_http (self, USHER_LOG_ERROR, 502, error->message);
      return FALSE;
    }
  self->scanned += (guint) more;
  const gssize r = outgoing_drain (&self->to_client, self->client);
  if (r != 1)
    return r != USHER_IO_FAILED;
  const gssize n = usher_buffer_drain (&self->upstream_in, self->client, self->scanned);
  if (n > 0)
    {
      self->scanned -= (guint) n;
      *moved = TRUE;
    }
  return n != USHER_IO_FAILED;
}

static gboolean
step_exchange (UsherHttp *self)
{
  gboolean moved = FALSE, ended = FALSE;
  if (!send_request (self, &moved))
    return upstream_failed (self);
  const gssize n = usher_buffer_fill (&self->upstream_in, self->upstream);
  moved = moved || n > 0;
  ended = n == USHER_IO_END || n == USHER_IO_FAILED;
  if (self->response == NULL && !take_response_head (self))
    {
      answer_error (self, 502, USHER_ERROR_INTERNAL, "the broker's answer could not be read");
      return TRUE;
    }
  if (self->response == NULL && ended)
    return upstream_failed (self);
  if (self->response == NULL) /* a 100 Continue, perhaps */
    {
      if (outgoing_drain (&self->to_client, self->client) != USHER_IO_FAILED && !self->client_ended)
        return moved; /* the broker thinks: nothing to do until it speaks */
      finish (self, NULL);
    }
  else if (!pass_body (self, &moved))
    finish (self, NULL);
  else if (self->to_client.text == NULL && self->scanned == 0 && usher_stream_flush (self->client) == 0
           && (self->body.done || (ended && self->body.framing == USHER_HTTP_FRAME_CLOSE)))
    end_exchange (self);
  else if (ended && !self->body.done && self->body.framing != USHER_HTTP_FRAME_CLOSE && self->scanned == 0)
    finish (self, NULL); /* the answer is cut short: so is ours */
  else
    {
      if (moved && self->response != NULL) /* a request has still_ms for all of it, however it drips */
        self->moved_at_ms = usher_loop_now_ms (self->context->loop);
      return moved;
    }
  return TRUE;
}

/* --- the other ends ----------------------------------------------------------------------------------------- */

static gboolean
step_upgrade (UsherHttp *self)
{
  const gssize r = outgoing_drain (&self->to_client, self->client);
  if (r == USHER_IO_FAILED)
    finish (self, NULL);
  if (r != 1)
    return FALSE;
  log_http (self, USHER_LOG_INFO, 101, "");
  usher_stream_unread (self->client, usher_buffer_peek (&self->in), usher_buffer_length (&self->in));
  usher_buffer_clear (&self->in);
  drop_upstream (self);
  UsherStream *client = g_steal_pointer (&self->client);
  finish (self, usher_ws_stream_new (client, self->context->pool));
  return FALSE;
}

static gboolean
step_last (UsherHttp *self)
{
  const gssize r = outgoing_drain (&self->to_client, self->client);
  if (r == USHER_IO_AGAIN)
    return FALSE;
  if (r == USHER_IO_FAILED || usher_stream_finish (self->client) == USHER_IO_FAILED || self->client_ended)
    {
      finish (self, NULL);
      return FALSE;
    }
  /* Closing on unread bytes would reset the connection and could take our answer with it. */
  self->state = STATE_LINGER;
  arm (self, LINGER_MS);
  return TRUE;
}

static gboolean
step_linger (UsherHttp *self)
{
  self->lingered += usher_buffer_length (&self->in);
  usher_buffer_clear (&self->in);
  if (self->client_ended || self->lingered > LINGER_MAX)
    finish (self, NULL);
  return FALSE;
}

static gboolean
step_over (UsherHttp *self)
{
  return FALSE;
}

/* --- the pump -------------------------------------------------------------------------------------------------- */

/* TRUE: it moved, look again. */
static gboolean (*const steps[]) (UsherHttp *) = {
  [STATE_IDLE] = step_head, [STATE_HEAD] = step_head, [STATE_EXCHANGE] = step_exchange, [STATE_UPGRADE] = step_upgrade,
  [STATE_LAST] = step_last, [STATE_LINGER] = step_linger, [STATE_OVER] = step_over,
};

/* Reads what the client sent as far as there is room; TRUE when something came. */
static gboolean
read_client (UsherHttp *self)
{
  if (self->client_ended || self->client == NULL)
    return FALSE;
  const gssize n = usher_buffer_fill (&self->in, self->client);
  if (n == USHER_IO_END || n == USHER_IO_FAILED)
    self->client_ended = TRUE;
  return n > 0 || self->client_ended;
}

/* Between requests the broker may close the connection that is kept for the next. */
static void
watch_idle_upstream (UsherHttp *self)
{
  if (self->upstream != NULL && usher_buffer_fill (&self->upstream_in, self->upstream) != USHER_IO_AGAIN)
    drop_upstream (self);
}

static void
pump (gpointer user_data)
{
  UsherHttp *self = user_data;
  for (guint i = 0; i < MOVES_A_PUMP; i++)
    {
      const gboolean came = read_client (self);
      if (self->state == STATE_IDLE)
        watch_idle_upstream (self);
      const State before = self->state;
      const gboolean moved = steps[self->state](self);
      if (self->state == STATE_OVER || (!came && !moved && self->state == before))
        return;
    }
  usher_task_schedule (self->context->loop, &self->again, pump, self);
}

UsherHttp *
usher_http_new (const UsherHttpContext *context, UsherStream *client, const char *client_address, UsherHttpDone done,
                gpointer user_data)
{
  UsherHttp *self = g_new0 (UsherHttp, 1);
  self->context = context;
  self->client = client;
  self->address = g_strdup (client_address);
  self->done = done;
  self->user_data = user_data;
  usher_buffer_init (&self->in, context->pool);
  usher_buffer_init (&self->upstream_in, context->pool);
  usher_stream_set_ready (client, pump, self);
  arm (self, context->head_ms);
  usher_task_schedule (context->loop, &self->again, pump, self);
  return self;
}

gboolean
usher_http_is_busy (const UsherHttp *http)
{
  return http->state != STATE_IDLE && http->state != STATE_LINGER;
}

void
usher_http_free (UsherHttp *http)
{
  if (http == NULL)
    return;
  http->state = STATE_OVER;
  usher_task_cancel (http->context->loop, &http->again);
  usher_timer_disarm (http->context->loop, &http->timer);
  drop_upstream (http);
  usher_buffer_clear (&http->in);
  outgoing_set (&http->to_client, NULL);
  g_clear_pointer (&http->client, usher_stream_free);
  g_clear_pointer (&http->request, usher_http_request_free);
  g_clear_pointer (&http->response, usher_http_response_free);
  g_clear_pointer (&http->request_id, g_free);
  g_clear_pointer (&http->address, g_free);
  usher_loop_bury (http->context->loop, http, g_free);
}
