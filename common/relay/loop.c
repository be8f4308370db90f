#include "common/relay/loop.h"
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include "common/error.h"

#define WHEEL_SLOTS 1024 /* 51 s a round; a longer timer stays in its slot for several */
#define EVENTS_MAX 256

struct _UsherWatch {
  UsherLoop *loop;
  int fd;
  UsherWatchFunc func; /* NULL once freed */
  gpointer user_data;
};

typedef struct {
  UsherWatchFunc func;
  gpointer data;
  GDestroyNotify free_data;
} Post;

typedef struct {
  gpointer object;
  GDestroyNotify free_object;
} Grave;

struct _UsherLoop {
  int epoll_fd, event_fd, signal_fd;
  UsherWatch *posts_watch, *signal_watch;
  gboolean running;
  gint64 now_ms;

  UsherTimer slots[WHEEL_SLOTS]; /* list heads */
  gint64 wheel_tick;             /* every slot up to this tick was looked at */
  UsherTimer mark; /* of run_slot() */
  guint timers;

  UsherTask tasks; /* list head */
  GArray *graves;  /* of Grave */

  GMutex posts_lock;
  GArray *posts; /* of Post; under posts_lock */

  UsherWatchFunc stop_func;
  gpointer stop_data;
};

static gboolean
loop_error (GError **error, const char *what)
{
  g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "event loop: %s: %s", what, g_strerror (errno));
  return FALSE;
}

static gint64
clock_ms (void)
{
  return g_get_monotonic_time () / 1000;
}

/* --- posts ------------------------------------------------------------------------------------- */

static void
run_posts (gpointer user_data)
{
  UsherLoop *loop = user_data;
  guint64 count;
  while (read (loop->event_fd, &count, sizeof count) > 0)
    ;
  g_mutex_lock (&loop->posts_lock);
  g_autoptr (GArray) posts = loop->posts;
  loop->posts = g_array_new (FALSE, FALSE, sizeof (Post));
  g_mutex_unlock (&loop->posts_lock);
  for (guint i = 0; i < posts->len; i++)
    {
      const Post *post = &g_array_index (posts, Post, i);
      post->func (post->data);
    }
}

void
usher_loop_post (UsherLoop *loop, UsherWatchFunc func, gpointer data, GDestroyNotify free_data)
{
  const Post post = { func, data, free_data };
  const guint64 one = 1;
  g_mutex_lock (&loop->posts_lock);
  g_array_append_val (loop->posts, post);
  g_mutex_unlock (&loop->posts_lock);
  /* An eventfd at its maximum is readable, which is all that is wanted. */
  if (write (loop->event_fd, &one, sizeof one) < 0)
    return;
}

/* --- the loop ---------------------------------------------------------------------------------- */

UsherLoop *
usher_loop_new (GError **error)
{
  g_autoptr (UsherLoop) loop = g_new0 (UsherLoop, 1);
  loop->signal_fd = loop->event_fd = -1;
  loop->now_ms = clock_ms ();
  loop->wheel_tick = loop->now_ms / USHER_TIMER_TICK_MS;
  for (guint i = 0; i < WHEEL_SLOTS; i++)
    loop->slots[i].next = loop->slots[i].previous = &loop->slots[i];
  loop->tasks.next = loop->tasks.previous = &loop->tasks;
  loop->graves = g_array_new (FALSE, FALSE, sizeof (Grave));
  g_mutex_init (&loop->posts_lock);
  loop->posts = g_array_new (FALSE, FALSE, sizeof (Post));

  loop->epoll_fd = epoll_create1 (EPOLL_CLOEXEC);
  if (loop->epoll_fd < 0)
    return loop_error (error, "epoll"), NULL;
  loop->event_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (loop->event_fd < 0)
    return loop_error (error, "eventfd"), NULL;
  loop->posts_watch = usher_watch_new (loop, loop->event_fd, run_posts, loop, error);
  return loop->posts_watch != NULL ? g_steal_pointer (&loop) : NULL;
}

static void
empty_graves (UsherLoop *loop)
{
  /* Freeing may bury more, so by index. */
  for (guint i = 0; i < loop->graves->len; i++)
    {
      const Grave grave = g_array_index (loop->graves, Grave, i);
      grave.free_object (grave.object);
    }
  g_array_set_size (loop->graves, 0);
}

void
usher_loop_free (UsherLoop *loop)
{
  if (loop == NULL)
    return;
  g_clear_pointer (&loop->posts_watch, usher_watch_free);
  g_clear_pointer (&loop->signal_watch, usher_watch_free);
  for (guint i = 0; i < loop->posts->len; i++)
    {
      const Post *post = &g_array_index (loop->posts, Post, i);
      if (post->free_data != NULL)
        post->free_data (post->data);
    }
  empty_graves (loop);
  g_array_unref (loop->posts);
  g_array_unref (loop->graves);
  g_mutex_clear (&loop->posts_lock);
  if (loop->signal_fd >= 0)
    close (loop->signal_fd);
  if (loop->event_fd >= 0)
    close (loop->event_fd);
  if (loop->epoll_fd >= 0)
    close (loop->epoll_fd);
  g_free (loop);
}

gint64
usher_loop_now_ms (UsherLoop *loop)
{
  return loop->now_ms;
}

void
usher_loop_bury (UsherLoop *loop, gpointer object, GDestroyNotify free_object)
{
  const Grave grave = { object, free_object };
  g_array_append_val (loop->graves, grave);
}

/* --- watches ----------------------------------------------------------------------------------- */

UsherWatch *
usher_watch_new (UsherLoop *loop, int fd, UsherWatchFunc func, gpointer user_data, GError **error)
{
  UsherWatch *watch = g_new0 (UsherWatch, 1);
  *watch = (UsherWatch){ loop, fd, func, user_data };
  struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = watch };
  if (epoll_ctl (loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
    {
      g_free (watch);
      return loop_error (error, "watching a descriptor"), NULL;
    }
  return watch;
}

void
usher_watch_set_func (UsherWatch *watch, UsherWatchFunc func, gpointer user_data)
{
  watch->func = func;
  watch->user_data = user_data;
}

void
usher_watch_free (UsherWatch *watch)
{
  if (watch == NULL)
    return;
  epoll_ctl (watch->loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
  watch->func = NULL; /* an event of it may wait further on in this turn's batch */
  usher_loop_bury (watch->loop, watch, g_free);
}

/* --- timers: a hashed wheel -------------------------------------------------------------------- */

void
usher_timer_disarm (UsherLoop *loop, UsherTimer *timer)
{
  if (timer->next == NULL)
    return;
  timer->previous->next = timer->next;
  timer->next->previous = timer->previous;
  timer->next = timer->previous = NULL;
  loop->timers--;
}

void
usher_timer_arm (UsherLoop *loop, UsherTimer *timer, guint after_ms, UsherTimerFunc func, gpointer user_data)
{
  usher_timer_disarm (loop, timer);
  timer->func = func;
  timer->user_data = user_data;
  timer->due_ms = clock_ms () + after_ms;
  /* Rounded up; and never a slot that has been looked at already. */
  gint64 tick = MAX (timer->due_ms / USHER_TIMER_TICK_MS + 1, loop->wheel_tick + 1);
  UsherTimer *head = &loop->slots[tick % WHEEL_SLOTS];
  timer->previous = head->previous;
  timer->next = head;
  head->previous->next = timer;
  head->previous = timer;
  loop->timers++;
}

/* Fires what is due in one slot. A callback may disarm or arm any timer, so the list is looked at anew
 * after each; those of a later round are moved behind a mark to be met only once. */
static void
run_slot (UsherLoop *loop, UsherTimer *head)
{
  UsherTimer *mark = &loop->mark;
  mark->previous = head->previous;
  mark->next = head;
  head->previous->next = mark;
  head->previous = mark;
  while (head->next != mark)
    {
      UsherTimer *timer = head->next;
      timer->previous->next = timer->next;
      timer->next->previous = timer->previous;
      if (timer->due_ms <= loop->now_ms)
        {
          timer->next = timer->previous = NULL;
          loop->timers--;
          timer->func (timer->user_data);
          continue;
        }
      timer->previous = head->previous;
      timer->next = head;
      head->previous->next = timer;
      head->previous = timer;
    }
  mark->previous->next = mark->next;
  mark->next->previous = mark->previous;
}

static void
run_timers (UsherLoop *loop)
{
  const gint64 tick = loop->now_ms / USHER_TIMER_TICK_MS;
  /* After a long stop of the process one whole round is enough. */
  gint64 from = MAX (loop->wheel_tick + 1, tick - WHEEL_SLOTS + 1);
  for (gint64 i = from; i <= tick; i++)
    {
      loop->wheel_tick = i;
      run_slot (loop, &loop->slots[i % WHEEL_SLOTS]);
    }
}

/* Milliseconds to the next slot that holds a timer, -1 when there is none. */
static int
timer_wait_ms (UsherLoop *loop)
{
  if (loop->timers == 0)
    return -1;
  for (gint64 i = 1; i <= WHEEL_SLOTS; i++)
    {
      const UsherTimer *head = &loop->slots[(loop->wheel_tick + i) % WHEEL_SLOTS];
      if (head->next != head)
        return (int) MAX (0, (loop->wheel_tick + i) * USHER_TIMER_TICK_MS - clock_ms ());
    }
  return -1;
}

/* --- tasks ------------------------------------------------------------------------------------- */

void
usher_task_cancel (UsherLoop *loop, UsherTask *task)
{
  if (task->next == NULL)
    return;
  task->previous->next = task->next;
  task->next->previous = task->previous;
  task->next = task->previous = NULL;
}

void
usher_task_schedule (UsherLoop *loop, UsherTask *task, UsherWatchFunc func, gpointer user_data)
{
  task->func = func;
  task->user_data = user_data;
  if (task->next != NULL)
    return;
  task->previous = loop->tasks.previous;
  task->next = &loop->tasks;
  task->previous->next = task;
  loop->tasks.previous = task;
}

static void
run_tasks (UsherLoop *loop)
{
  UsherTask mark = { 0 }; /* what is scheduled meanwhile is for the next turn */
  usher_task_schedule (loop, &mark, NULL, NULL);
  while (loop->tasks.next != &mark)
    {
      UsherTask *task = loop->tasks.next;
      usher_task_cancel (loop, task);
      task->func (task->user_data);
    }
  usher_task_cancel (loop, &mark);
}

/* --- turning ----------------------------------------------------------------------------------- */

void
usher_loop_turn (UsherLoop *loop, int wait_ms)
{
  struct epoll_event events[EVENTS_MAX];
  const int timer_ms = timer_wait_ms (loop);
  if (loop->tasks.next != &loop->tasks)
    wait_ms = 0;
  else if (timer_ms >= 0 && (wait_ms < 0 || timer_ms < wait_ms))
    wait_ms = timer_ms;
  const int count = epoll_wait (loop->epoll_fd, events, EVENTS_MAX, wait_ms);
  loop->now_ms = clock_ms ();
  for (int i = 0; i < count; i++)
    {
      const UsherWatch *watch = events[i].data.ptr;
      if (watch->func != NULL)
        watch->func (watch->user_data);
    }
  run_tasks (loop);
  run_timers (loop);
  empty_graves (loop);
}

void
usher_loop_run (UsherLoop *loop)
{
  loop->running = TRUE;
  while (loop->running)
    usher_loop_turn (loop, -1);
}

void
usher_loop_quit (UsherLoop *loop)
{
  loop->running = FALSE;
}

static void
on_signal (gpointer user_data)
{
  UsherLoop *loop = user_data;
  struct signalfd_siginfo info;
  while (read (loop->signal_fd, &info, sizeof info) == sizeof info)
    loop->stop_func (loop->stop_data);
}

gboolean
usher_loop_on_stop_signal (UsherLoop *loop, UsherWatchFunc func, gpointer user_data, GError **error)
{
  sigset_t set;
  sigemptyset (&set);
  sigaddset (&set, SIGTERM);
  sigaddset (&set, SIGINT);
  pthread_sigmask (SIG_BLOCK, &set, NULL);
  signal (SIGPIPE, SIG_IGN);
  loop->stop_func = func;
  loop->stop_data = user_data;
  loop->signal_fd = signalfd (-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (loop->signal_fd < 0)
    return loop_error (error, "signalfd");
  loop->signal_watch = usher_watch_new (loop, loop->signal_fd, on_signal, loop, error);
  return loop->signal_watch != NULL;
}
