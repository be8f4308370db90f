#include "common/relay/relay.h"

#define MOVES_A_PUMP 32 /* then others get their turn */
#define POOL_RETRY_MS 20

typedef struct {
  UsherStream *from, *to;
  UsherBuffer buffer;
  guint64 moved;
  gboolean source_ended, sink_finished;
} Direction;

struct _UsherRelay {
  UsherLoop *loop;
  UsherStream *a, *b;
  Direction to_b, to_a;
  UsherRelayLimits limits;
  UsherRelayDone done;
  gpointer user_data;
  UsherTask again;
  UsherTimer timer;      /* idle, and lingering after one side ended */
  UsherTimer pool_retry; /* the pool was empty: nobody will call */
  gint64 moved_at_ms;
  gboolean a_ended_first, over;
};

static const char *const end_names[] = {
  [USHER_RELAY_ENDED] = "ended",
  [USHER_RELAY_A_FAILED] = "first side failed",
  [USHER_RELAY_B_FAILED] = "second side failed",
  [USHER_RELAY_IDLE] = "idle too long",
  [USHER_RELAY_LINGERED] = "half-closed too long",
};

const char *
usher_relay_end_name (UsherRelayEnd end)
{
  return end_names[end];
}

static void pump (gpointer user_data);

static void
finish_relay (UsherRelay *self, UsherRelayEnd end)
{
  if (self->over)
    return;
  self->over = TRUE;
  usher_task_cancel (self->loop, &self->again);
  usher_timer_disarm (self->loop, &self->timer);
  usher_timer_disarm (self->loop, &self->pool_retry);
  self->done (end, self->a_ended_first, self->user_data); /* may free self */
}

static void
check_limits (gpointer user_data)
{
  UsherRelay *self = user_data;
  const gboolean half = self->to_a.source_ended || self->to_b.source_ended;
  const guint limit = half && self->limits.half_closed_ms > 0 ? self->limits.half_closed_ms : self->limits.idle_ms;
  if (limit == 0)
    return;
  const gint64 still_ms = usher_loop_now_ms (self->loop) - self->moved_at_ms;
  if (still_ms >= limit)
    finish_relay (self, half ? USHER_RELAY_LINGERED : USHER_RELAY_IDLE);
  else
    usher_timer_arm (self->loop, &self->timer, (guint) (limit - still_ms), check_limits, self);
}

typedef enum { STEP_NOTHING, STEP_MOVED, STEP_FROM_FAILED, STEP_TO_FAILED, STEP_NO_BLOCK } Step;

static Step
fill (Direction *way)
{
  if (way->source_ended)
    return STEP_NOTHING;
  const gssize n = usher_buffer_fill (&way->buffer, way->from);
  if (n > 0)
    return STEP_MOVED;
  if (n == USHER_IO_FAILED)
    return STEP_FROM_FAILED;
  if (n == USHER_IO_FULL && usher_buffer_length (&way->buffer) == 0)
    return STEP_NO_BLOCK;
  if (n == USHER_IO_END)
    {
      way->source_ended = TRUE;
      return STEP_MOVED;
    }
  return STEP_NOTHING;
}

static Step
drain (Direction *way)
{
  const gssize n = usher_buffer_drain (&way->buffer, way->to, G_MAXUINT64);
  if (n > 0)
    {
      way->moved += (guint64) n;
      return STEP_MOVED;
    }
  if (n == USHER_IO_FAILED || usher_stream_flush (way->to) == USHER_IO_FAILED)
    return STEP_TO_FAILED;
  if (way->source_ended && !way->sink_finished && usher_buffer_length (&way->buffer) == 0)
    {
      const gssize r = usher_stream_finish (way->to);
      way->sink_finished = r == 0;
      return r == USHER_IO_FAILED ? STEP_TO_FAILED : STEP_NOTHING;
    }
  return STEP_NOTHING;
}

/* One round of one direction; STEP_MOVED when another is worth while. */
static Step
move (Direction *way)
{
  const Step filled = fill (way);
  /* What was received before a failure still goes out. */
  const Step drained = drain (way);
  if (drained == STEP_TO_FAILED)
    return drained;
  if (filled == STEP_FROM_FAILED)
    return drained == STEP_MOVED && usher_buffer_length (&way->buffer) > 0 ? STEP_MOVED : STEP_FROM_FAILED;
  if (filled == STEP_NO_BLOCK)
    return STEP_NO_BLOCK;
  return filled == STEP_MOVED || drained == STEP_MOVED ? STEP_MOVED : STEP_NOTHING;
}

/* TRUE when the relay is over. */
static gboolean
settle (UsherRelay *self, Step to_b, Step to_a)
{
  const gboolean a_failed = to_b == STEP_FROM_FAILED || to_a == STEP_TO_FAILED;
  const gboolean b_failed = to_a == STEP_FROM_FAILED || to_b == STEP_TO_FAILED;
  if (!self->to_b.source_ended && !self->to_a.source_ended && (a_failed || b_failed))
    self->a_ended_first = a_failed;
  if (a_failed || b_failed)
    finish_relay (self, a_failed ? USHER_RELAY_A_FAILED : USHER_RELAY_B_FAILED);
  else if (self->to_a.sink_finished && self->to_b.sink_finished)
    finish_relay (self, USHER_RELAY_ENDED);
  else
    return FALSE;
  return TRUE;
}

static void
note_end (UsherRelay *self, gboolean had_ended)
{
  if (had_ended || !(self->to_b.source_ended || self->to_a.source_ended))
    return;
  self->a_ended_first = self->to_b.source_ended;
  usher_timer_disarm (self->loop, &self->timer);
  if (self->limits.half_closed_ms > 0)
    usher_timer_arm (self->loop, &self->timer, self->limits.half_closed_ms, check_limits, self);
}

static void
pump (gpointer user_data)
{
  UsherRelay *self = user_data;
  for (guint i = 0; i < MOVES_A_PUMP && !self->over; i++)
    {
      const gboolean had_ended = self->to_b.source_ended || self->to_a.source_ended;
      const Step to_b = move (&self->to_b), to_a = move (&self->to_a);
      note_end (self, had_ended);
      if (settle (self, to_b, to_a))
        return;
      if (to_b == STEP_NO_BLOCK || to_a == STEP_NO_BLOCK)
        usher_timer_arm (self->loop, &self->pool_retry, POOL_RETRY_MS, pump, self);
      if (to_b != STEP_MOVED && to_a != STEP_MOVED)
        return;
      self->moved_at_ms = usher_loop_now_ms (self->loop);
    }
  usher_task_schedule (self->loop, &self->again, pump, self);
}

UsherRelay *
usher_relay_new (UsherLoop *loop, UsherPool *pool, UsherStream *a, UsherStream *b, const UsherRelayLimits *limits,
                 UsherRelayDone done, gpointer user_data)
{
  UsherRelay *self = g_new0 (UsherRelay, 1);
  self->loop = loop;
  self->a = a;
  self->b = b;
  self->to_b = (Direction){ .from = a, .to = b };
  self->to_a = (Direction){ .from = b, .to = a };
  usher_buffer_init (&self->to_b.buffer, pool);
  usher_buffer_init (&self->to_a.buffer, pool);
  self->limits = *limits;
  self->done = done;
  self->user_data = user_data;
  self->moved_at_ms = usher_loop_now_ms (loop);
  usher_stream_set_ready (a, pump, self);
  usher_stream_set_ready (b, pump, self);
  usher_task_schedule (loop, &self->again, pump, self);
  if (limits->idle_ms > 0)
    usher_timer_arm (loop, &self->timer, limits->idle_ms, check_limits, self);
  return self;
}

guint64
usher_relay_bytes_to_a (const UsherRelay *relay)
{
  return relay->to_a.moved;
}

guint64
usher_relay_bytes_to_b (const UsherRelay *relay)
{
  return relay->to_b.moved;
}

static void
free_relay (gpointer data)
{
  g_free (data);
}

void
usher_relay_free (UsherRelay *relay)
{
  if (relay == NULL)
    return;
  relay->over = TRUE;
  usher_task_cancel (relay->loop, &relay->again);
  usher_timer_disarm (relay->loop, &relay->timer);
  usher_timer_disarm (relay->loop, &relay->pool_retry);
  usher_stream_set_ready (relay->a, NULL, NULL);
  usher_stream_set_ready (relay->b, NULL, NULL);
  usher_buffer_clear (&relay->to_a.buffer);
  usher_buffer_clear (&relay->to_b.buffer);
  usher_loop_bury (relay->loop, relay, free_relay); /* pump() may be on the stack */
}
