#include "broker/controllers/controllers.h"

#include "broker/controllers/pass.h"
#include "broker/store/work.h"
#include "common/log.h"
#include "common/pace.h"

#define TICK_US (10 * G_USEC_PER_SEC)
#define GATHER_US (20 * 1000)   /* at least between two passes, so that events that come together are one */
#define SPACING_US (100 * 1000) /* passes of a busy broker are no closer than this on average, for each looks at everything... */
#define BURST 5                 /* ...and so many come at once after a quiet time: a click's changes do not wait */
#define AUDIT_US G_USEC_PER_SEC /* how late watchers of the audit trail may be told */
#define RETRY_US G_USEC_PER_SEC

/* What passes look at; a change of another kind wakes nobody. */
#define KINDS                                                                                                          \
  (USHER_KIND_BIT (USHER_KIND_TEMPLATE) | USHER_KIND_BIT (USHER_KIND_POOL) | USHER_KIND_BIT (USHER_KIND_HOST)          \
   | USHER_KIND_BIT (USHER_KIND_DESKTOP))

struct _UsherControllers {
  GThread *thread;
  GMutex lock;
  GCond changed;
  gboolean woken, ending; /* under lock */
  guint passes;           /* atomic */
  UsherStore *store;      /* the thread's */
  gint64 next_tick_us, next_look_us, next_audit_us, audit_seq;
  gint64 passed_us; /* when the newest pass began */
  UsherPace pace;   /* of the passes */
  gboolean down; /* the newest pass failed: said once */
};

/* When a pass may begin of which an event is the reason. */
static gint64
get_next_pass_us (const UsherControllers *controllers)
{
  gint64 now_us = g_get_monotonic_time ();
  return MAX (controllers->passed_us + GATHER_US, now_us + usher_pace_get_pause_us (&controllers->pace, now_us));
}

/* Waits for an event, and then until it may be looked at, or for the earliest time to look; FALSE at the end. */
static gboolean
wait_for_work (UsherControllers *controllers, gboolean *out_woken)
{
  gint64 until_us = MIN (MIN (controllers->next_tick_us, controllers->next_look_us), controllers->next_audit_us);
  g_mutex_lock (&controllers->lock);
  while (!controllers->woken && !controllers->ending)
    if (!g_cond_wait_until (&controllers->changed, &controllers->lock, until_us))
      break;
  for (gint64 pass_us = get_next_pass_us (controllers); controllers->woken && !controllers->ending;)
    if (!g_cond_wait_until (&controllers->changed, &controllers->lock, pass_us))
      break;
  gboolean going = !controllers->ending;
  *out_woken = controllers->woken;
  g_mutex_unlock (&controllers->lock);
  return going;
}

static void
say (UsherControllers *controllers, const GError *error)
{
  if (error != NULL && !controllers->down)
    usher_log (USHER_LOG_WARNING, NULL, "the controllers wait: %s", error->message);
  else if (error == NULL && controllers->down)
    usher_log (USHER_LOG_NOTICE, NULL, "the controllers work again");
  controllers->down = error != NULL;
}

static void
make_pass (UsherControllers *controllers)
{
  g_autoptr (GError) error = NULL;
  gint64 now_us = controllers->passed_us = g_get_monotonic_time ();
  UsherPass pass = { .tick = now_us >= controllers->next_tick_us, .look = now_us >= controllers->next_look_us };

  usher_pace_take (&controllers->pace, now_us);
  g_mutex_lock (&controllers->lock);
  controllers->woken = FALSE; /* what comes from now on is for the next pass */
  g_mutex_unlock (&controllers->lock);
  gboolean good = usher_pass_make (&pass, controllers->store, &error);
  now_us = g_get_monotonic_time ();
  say (controllers, error);
  if (pass.tick)
    controllers->next_tick_us = now_us + TICK_US;
  gint64 look_us = !good              ? now_us + RETRY_US
                   : pass.again_s > 0 ? now_us + (gint64) pass.again_s * G_USEC_PER_SEC
                                      : G_MAXINT64;
  controllers->next_look_us = pass.look ? look_us : MIN (controllers->next_look_us, look_us);
  if (good)
    g_atomic_int_inc (&controllers->passes);
}

static gpointer
run (gpointer data)
{
  UsherControllers *controllers = data;
  gboolean woken;
  while (wait_for_work (controllers, &woken))
    {
      gint64 now_us = g_get_monotonic_time ();
      if (now_us >= controllers->next_audit_us)
        {
          usher_work_announce_audit (controllers->store, &controllers->audit_seq, NULL);
          controllers->next_audit_us = now_us + AUDIT_US;
        }
      if (woken || now_us >= controllers->next_look_us || now_us >= controllers->next_tick_us)
        make_pass (controllers);
    }
  g_clear_pointer (&controllers->store, usher_store_free);
  return NULL;
}

UsherControllers *
usher_controllers_new (const char *conninfo)
{
  UsherControllers *controllers = g_new0 (UsherControllers, 1);
  g_mutex_init (&controllers->lock);
  g_cond_init (&controllers->changed);
  controllers->store = usher_store_new (conninfo, NULL);
  controllers->pace = (UsherPace){ .spacing_us = SPACING_US, .burst = BURST };
  controllers->next_look_us = G_MAXINT64;
  controllers->thread = g_thread_new ("controllers", run, controllers);
  return controllers;
}

void
usher_controllers_wake (UsherControllers *controllers, guint kinds)
{
  if ((kinds & KINDS) == 0)
    return;
  g_mutex_lock (&controllers->lock);
  controllers->woken = TRUE;
  g_cond_signal (&controllers->changed);
  g_mutex_unlock (&controllers->lock);
}

guint
usher_controllers_get_passes (UsherControllers *controllers)
{
  return (guint) g_atomic_int_get (&controllers->passes);
}

void
usher_controllers_free (UsherControllers *controllers)
{
  if (controllers == NULL)
    return;
  g_mutex_lock (&controllers->lock);
  controllers->ending = TRUE;
  g_cond_signal (&controllers->changed);
  g_mutex_unlock (&controllers->lock);
  g_thread_join (controllers->thread);
  g_mutex_clear (&controllers->lock);
  g_cond_clear (&controllers->changed);
  g_free (controllers);
}
