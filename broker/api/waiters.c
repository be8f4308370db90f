#include "broker/api/waiters.h"
#include "common/error.h"

#define TOPICS 32

typedef struct {
  UsherWaiters *waiters;
  UsherCall *call;
  guint topics;
  guint timer; /* of its deadline */
  gboolean urgent;
} Parked;

struct _UsherWaiters {
  guint limit, gather_ms, lanes;
  UsherWaitersWake wake;
  GHashTable *parked; /* set of Parked */
  guint64 now;
  guint64 changed[TOPICS]; /* number of each topic's last change */
  guint dirty;             /* topics changed since the last gathering */
  guint gather_timer;
  gint64 gathered_us; /* when calls were woken last, monotonic */
  GQueue due; /* calls to be woken, once a lane is free */
  guint looking;
  gboolean starting, released;
};

static void
parked_free (Parked *parked)
{
  g_clear_handle_id (&parked->timer, g_source_remove);
  g_clear_pointer (&parked->call, usher_call_unref);
  g_free (parked);
}

UsherWaiters *
usher_waiters_new (guint limit, guint gather_ms, guint lanes, UsherWaitersWake wake)
{
  UsherWaiters *waiters = g_new0 (UsherWaiters, 1);
  waiters->limit = limit;
  waiters->gather_ms = gather_ms;
  waiters->lanes = lanes;
  g_queue_init (&waiters->due);
  waiters->wake = wake;
  waiters->parked = g_hash_table_new_full (NULL, NULL, (GDestroyNotify) parked_free, NULL);
  return waiters;
}

guint64
usher_waiters_now (const UsherWaiters *waiters)
{
  return waiters->now;
}

guint
usher_waiters_get_parked (const UsherWaiters *waiters)
{
  return g_hash_table_size (waiters->parked) + g_queue_get_length ((GQueue *) &waiters->due);
}

/* A look may be over before wake() returns: then the loop goes on here, not in the nested call. */
static void
start_looks (UsherWaiters *waiters)
{
  if (waiters->starting)
    return;
  waiters->starting = TRUE;
  while (waiters->looking < waiters->lanes && !g_queue_is_empty (&waiters->due)) {
    waiters->looking++;
    waiters->wake (g_queue_pop_head (&waiters->due));
  }
  waiters->starting = FALSE;
}

void
usher_waiters_looked (UsherWaiters *waiters)
{
  waiters->looking--;
  start_looks (waiters);
}

static void
make_due (Parked *parked)
{
  UsherWaiters *waiters = parked->waiters;
  UsherCall *call = g_steal_pointer (&parked->call);
  if (parked->urgent)
    g_queue_push_head (&waiters->due, call);
  else
    g_queue_push_tail (&waiters->due, call);
  g_hash_table_remove (waiters->parked, parked);
}

static gboolean
on_deadline (gpointer data)
{
  Parked *parked = data;
  UsherWaiters *waiters = parked->waiters;
  parked->timer = 0;
  make_due (parked);
  start_looks (waiters);
  return G_SOURCE_REMOVE;
}

static gboolean
changed_since (const UsherWaiters *waiters, guint topics, guint64 seen)
{
  for (guint i = 0; i < TOPICS; i++)
    if ((topics & 1u << i) != 0 && waiters->changed[i] > seen)
      return TRUE;
  return FALSE;
}

gboolean
usher_waiters_park (UsherWaiters *waiters, UsherCall *call, guint topics, guint64 seen, gint64 until_us, gboolean urgent,
                    GError **error)
{
  if (usher_waiters_get_parked (waiters) >= waiters->limit) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_BUSY, "%u calls are waiting already", waiters->limit);
    return FALSE;
  }
  gint64 left_ms = (until_us - g_get_monotonic_time () + 999) / 1000;
  if (waiters->released || left_ms < 0)
    left_ms = 0;
  else if (changed_since (waiters, topics, seen))
    left_ms = MIN (left_ms, (gint64) waiters->gather_ms);
  Parked *parked = g_new0 (Parked, 1);
  parked->waiters = waiters;
  parked->call = usher_call_ref (call);
  parked->topics = topics;
  parked->urgent = urgent;
  parked->timer = g_timeout_add ((guint) left_ms, on_deadline, parked);
  g_hash_table_add (waiters->parked, parked);
  return TRUE;
}

static void
wake_topics (UsherWaiters *waiters, guint topics)
{
  GHashTableIter iter;
  gpointer key;
  g_autoptr (GPtrArray) due = g_ptr_array_new ();
  g_hash_table_iter_init (&iter, waiters->parked);
  while (g_hash_table_iter_next (&iter, &key, NULL))
    if ((((Parked *) key)->topics & topics) != 0)
      g_ptr_array_add (due, key);
  for (guint i = 0; i < due->len; i++)
    make_due (g_ptr_array_index (due, i));
  start_looks (waiters);
}

static gboolean
on_gathered (gpointer data)
{
  UsherWaiters *waiters = data;
  guint topics = waiters->dirty;
  waiters->gather_timer = 0;
  waiters->gathered_us = g_get_monotonic_time ();
  waiters->dirty = 0;
  wake_topics (waiters, topics);
  return G_SOURCE_REMOVE;
}

void
usher_waiters_notify (UsherWaiters *waiters, guint topics)
{
  waiters->now++;
  for (guint i = 0; i < TOPICS; i++)
    if ((topics & 1u << i) != 0)
      waiters->changed[i] = waiters->now;
  waiters->dirty |= topics;
  /* A change that comes alone wakes at once: somebody may be waiting for a desktop. */
  gint64 since_ms = (g_get_monotonic_time () - waiters->gathered_us) / 1000;
  guint left_ms = since_ms < waiters->gather_ms ? (guint) (waiters->gather_ms - since_ms) : 0;
  if (waiters->gather_timer == 0)
    waiters->gather_timer = g_timeout_add (left_ms, on_gathered, waiters);
}

void
usher_waiters_release (UsherWaiters *waiters)
{
  waiters->released = TRUE;
  wake_topics (waiters, ~0u);
}

void
usher_waiters_free (UsherWaiters *waiters)
{
  if (waiters == NULL)
    return;
  g_clear_handle_id (&waiters->gather_timer, g_source_remove);
  g_hash_table_unref (waiters->parked);
  g_queue_clear_full (&waiters->due, (GDestroyNotify) usher_call_unref);
  g_free (waiters);
}
