#include "gateway/spice/key_pool.h"
#include "common/log.h"

#define FAILED_WAIT_US (5 * G_USEC_PER_SEC)

struct _UsherKeyPool {
  GMutex lock;
  GCond changed;
  GQueue ready; /* of UsherLinkKey; this, `last` and `stop` under the lock */
  UsherLinkKey *last;
  guint wanted;
  gboolean stop;
  GThread *thread;
};

static gpointer
make_keys (gpointer data)
{
  UsherKeyPool *pool = data;
  g_mutex_lock (&pool->lock);
  while (!pool->stop)
    {
      if (g_queue_get_length (&pool->ready) >= pool->wanted)
        {
          g_cond_wait (&pool->changed, &pool->lock);
          continue;
        }
      g_mutex_unlock (&pool->lock);
      g_autoptr (GError) error = NULL;
      UsherLinkKey *key = usher_link_key_new (&error);
      if (key == NULL)
        usher_log (USHER_LOG_ERROR, NULL, "%s", error->message);
      g_mutex_lock (&pool->lock);
      if (key != NULL)
        g_queue_push_tail (&pool->ready, key);
      else
        g_cond_wait_until (&pool->changed, &pool->lock, g_get_monotonic_time () + FAILED_WAIT_US);
    }
  g_mutex_unlock (&pool->lock);
  return NULL;
}

UsherKeyPool *
usher_key_pool_new (guint wanted)
{
  UsherKeyPool *pool = g_new0 (UsherKeyPool, 1);
  g_mutex_init (&pool->lock);
  g_cond_init (&pool->changed);
  g_queue_init (&pool->ready);
  pool->wanted = wanted;
  pool->thread = g_thread_new ("link keys", make_keys, pool);
  return pool;
}

UsherLinkKey *
usher_key_pool_take (UsherKeyPool *pool)
{
  g_mutex_lock (&pool->lock);
  UsherLinkKey *fresh = g_queue_pop_head (&pool->ready);
  if (fresh != NULL)
    {
      usher_link_key_unref (pool->last);
      pool->last = fresh;
    }
  UsherLinkKey *key = pool->last != NULL ? usher_link_key_ref (pool->last) : NULL;
  g_cond_signal (&pool->changed);
  g_mutex_unlock (&pool->lock);
  return key;
}

void
usher_key_pool_free (UsherKeyPool *pool)
{
  if (pool == NULL)
    return;
  g_mutex_lock (&pool->lock);
  pool->stop = TRUE;
  g_cond_signal (&pool->changed);
  g_mutex_unlock (&pool->lock);
  g_thread_join (pool->thread);
  g_queue_clear_full (&pool->ready, (GDestroyNotify) usher_link_key_unref);
  usher_link_key_unref (pool->last);
  g_mutex_clear (&pool->lock);
  g_cond_clear (&pool->changed);
  g_free (pool);
}
