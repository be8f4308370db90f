#include "common/workers.h"

#include "common/error.h"

typedef struct {
  UsherWorkFunc func;
  gpointer job;
  GDestroyNotify free_job;
  gint64 begin_before; /* monotonic µs; 0: no deadline */
  UsherWorkDone done;
  gpointer user_data;
  GDestroyNotify free_result;
  GMainContext *context;
  /* the outcome */
  gpointer result;
  GError *error;
} Work;

/* A thread, as long as it waits for work. */
typedef struct {
  GCond woken;
} Idle;

struct _UsherWorkers {
  char *name;
  guint queue_limit;
  UsherWorkersStart start;
  UsherWorkersStop stop;
  gpointer user_data;
  GPtrArray *threads;
  GMutex lock; /* guards the rest */
  GQueue waiting; /* of Work */
  GQueue idle;    /* of Idle: who waited last is woken first, for its memory and its server's are still in the caches */
  guint running;
  gboolean closing;
};

static void
work_free (Work *work)
{
  if (work->result != NULL && work->free_result != NULL)
    work->free_result (work->result);
  g_clear_error (&work->error);
  g_main_context_unref (work->context);
  g_free (work);
}

static gboolean
deliver (gpointer data)
{
  Work *work = data;
  work->done (g_steal_pointer (&work->result), work->error, work->user_data);
  return G_SOURCE_REMOVE;
}

/* Ends `work`: its job is freed here, its outcome is told in the context it came from. */
static void
finish (Work *work)
{
  if (work->free_job != NULL)
    work->free_job (work->job);
  if (work->done == NULL)
    {
      work_free (work);
      return;
    }
  g_autoptr (GSource) source = g_idle_source_new ();
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, deliver, work, (GDestroyNotify) work_free);
  g_source_attach (source, work->context);
}

static void
run (Work *work, gpointer state, const char *name)
{
  if (work->begin_before != 0 && g_get_monotonic_time () > work->begin_before)
    g_set_error (&work->error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "%s: no worker was free in time", name);
  else
    work->result = work->func (state, work->job, &work->error);
  finish (work);
}

/* Under the lock, which is given up meanwhile. */
static void
wait_for_work (UsherWorkers *workers)
{
  Idle self;
  g_cond_init (&self.woken);
  g_queue_push_head (&workers->idle, &self);
  g_cond_wait (&self.woken, &workers->lock);
  g_queue_remove (&workers->idle, &self);
  g_cond_clear (&self.woken);
}

/* Under the lock. */
static void
wake_one (UsherWorkers *workers)
{
  Idle *last = g_queue_pop_head (&workers->idle);
  if (last != NULL)
    g_cond_signal (&last->woken);
}

static gpointer
worker_thread (gpointer data)
{
  UsherWorkers *workers = data;
  gpointer state = workers->start != NULL ? workers->start (workers->user_data) : workers->user_data;

  g_mutex_lock (&workers->lock);
  while (TRUE)
    {
      while (g_queue_is_empty (&workers->waiting) && !workers->closing)
        wait_for_work (workers);
      if (workers->closing)
        break;
      Work *work = g_queue_pop_head (&workers->waiting);
      workers->running++;
      g_mutex_unlock (&workers->lock);
      run (work, state, workers->name);
      g_mutex_lock (&workers->lock);
      workers->running--;
    }
  g_mutex_unlock (&workers->lock);

  if (workers->stop != NULL)
    workers->stop (state);
  return NULL;
}

UsherWorkers *
usher_workers_new (const char *name, guint threads, guint queue_limit, UsherWorkersStart start, UsherWorkersStop stop,
                   gpointer user_data)
{
  UsherWorkers *workers = g_new0 (UsherWorkers, 1);
  workers->name = g_strdup (name);
  workers->queue_limit = queue_limit;
  workers->start = start;
  workers->stop = stop;
  workers->user_data = user_data;
  g_mutex_init (&workers->lock);
  g_queue_init (&workers->waiting);
  g_queue_init (&workers->idle);
  workers->threads = g_ptr_array_new ();
  for (guint i = 0; i < threads; i++)
    g_ptr_array_add (workers->threads, g_thread_new (name, worker_thread, workers));
  return workers;
}

gboolean
usher_workers_submit (UsherWorkers *workers, UsherWorkFunc func, gpointer job, GDestroyNotify free_job, guint deadline_ms,
                      UsherWorkDone done, gpointer user_data, GDestroyNotify free_result, GError **error)
{
  Work *work = g_new0 (Work, 1);
  *work = (Work) { .func = func, .job = job, .free_job = free_job, .done = done, .user_data = user_data,
                   .free_result = free_result, .context = g_main_context_ref_thread_default () };
  if (deadline_ms > 0)
    work->begin_before = g_get_monotonic_time () + (gint64) deadline_ms * 1000;

  g_mutex_lock (&workers->lock);
  gboolean accepted = !workers->closing && g_queue_get_length (&workers->waiting) < workers->queue_limit;
  if (accepted)
    {
      g_queue_push_tail (&workers->waiting, work);
      wake_one (workers);
    }
  g_mutex_unlock (&workers->lock);
  if (accepted)
    return TRUE;

  if (free_job != NULL)
    free_job (job);
  work_free (work);
  g_set_error (error, USHER_ERROR, USHER_ERROR_BUSY, "%s: %u jobs are waiting already", workers->name, workers->queue_limit);
  return FALSE;
}

guint
usher_workers_pending (UsherWorkers *workers)
{
  g_mutex_lock (&workers->lock);
  guint pending = g_queue_get_length (&workers->waiting) + workers->running;
  g_mutex_unlock (&workers->lock);
  return pending;
}

void
usher_workers_free (UsherWorkers *workers)
{
  if (workers == NULL)
    return;
  g_mutex_lock (&workers->lock);
  workers->closing = TRUE;
  while (!g_queue_is_empty (&workers->idle))
    wake_one (workers);
  g_mutex_unlock (&workers->lock);
  for (guint i = 0; i < workers->threads->len; i++)
    g_thread_join (workers->threads->pdata[i]);

  Work *work;
  while ((work = g_queue_pop_head (&workers->waiting)) != NULL)
    {
      g_set_error (&work->error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "%s: shutting down", workers->name);
      finish (work);
    }
  g_ptr_array_unref (workers->threads);
  g_mutex_clear (&workers->lock);
  g_free (workers->name);
  g_free (workers);
}
