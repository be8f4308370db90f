/* The event loop of the data path: one thread, edge-triggered epoll, a timer wheel.
 *
 * Everything of a loop belongs to the thread that runs it, except usher_loop_post(). A watch tells
 * only that something may have changed; its owner then tries everything it wants to do until EAGAIN.
 * That one habit ("pump") replaces interest masks, and makes TLS's crossed needs a non-event. */
#pragma once
#include <glib.h>

typedef struct _UsherLoop UsherLoop;
typedef struct _UsherWatch UsherWatch;

UsherLoop *usher_loop_new (GError **error);

/* Runs until usher_loop_quit(). */
void usher_loop_run (UsherLoop *loop);
void usher_loop_quit (UsherLoop *loop);

/* One turn: waits at most `wait_ms` (-1: until something happens). For tests. */
void usher_loop_turn (UsherLoop *loop, int wait_ms);

/* Milliseconds of the monotonic clock, as of the beginning of this turn. */
gint64 usher_loop_now_ms (UsherLoop *loop);

/* All watches, timers and tasks must be gone. */
void usher_loop_free (UsherLoop *loop);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherLoop, usher_loop_free)

/* --- descriptors ------------------------------------------------------------------------------- */

typedef void (*UsherWatchFunc) (gpointer user_data);

/* Calls `func` whenever `fd` may have become readable or writable, was closed or failed; the first
 * time in the next turn. Does not own `fd`. NULL with *error when epoll refuses. */
UsherWatch *usher_watch_new (UsherLoop *loop, int fd, UsherWatchFunc func, gpointer user_data, GError **error);
void usher_watch_set_func (UsherWatch *watch, UsherWatchFunc func, gpointer user_data);

/* Safe from inside any callback; call before closing the descriptor. */
void usher_watch_free (UsherWatch *watch);

/* --- timers ------------------------------------------------------------------------------------ */

#define USHER_TIMER_TICK_MS 50

/* Embedded in its owner; zero is the idle state. Fires once, at most one tick late, never early. */
typedef struct _UsherTimer UsherTimer;
typedef void (*UsherTimerFunc) (gpointer user_data);
struct _UsherTimer {
  UsherTimer *next, *previous; /* the slot's list; NULL when idle */
  gint64 due_ms;
  UsherTimerFunc func;
  gpointer user_data;
};

/* Arms or re-arms: constant time. */
void usher_timer_arm (UsherLoop *loop, UsherTimer *timer, guint after_ms, UsherTimerFunc func, gpointer user_data);
void usher_timer_disarm (UsherLoop *loop, UsherTimer *timer);

/* --- work for the next turn, and from other threads ----------------------------------------------- */

/* Embedded in its owner; zero is the idle state. Scheduling it twice before it ran runs it once. */
typedef struct _UsherTask UsherTask;
struct _UsherTask {
  UsherTask *next, *previous;
  UsherWatchFunc func;
  gpointer user_data;
};

void usher_task_schedule (UsherLoop *loop, UsherTask *task, UsherWatchFunc func, gpointer user_data);
void usher_task_cancel (UsherLoop *loop, UsherTask *task);

/* From any thread: `func (data)` runs on the loop. What was not run when the loop is freed is dropped
 * with `free_data` (may be NULL). */
void usher_loop_post (UsherLoop *loop, UsherWatchFunc func, gpointer data, GDestroyNotify free_data);

/* Frees `object` when the callbacks of this turn have returned. */
void usher_loop_bury (UsherLoop *loop, gpointer object, GDestroyNotify free_object);

/* Calls `func` on the loop for each of SIGTERM and SIGINT (blocked for the whole process: call it
 * before any thread is made). */
gboolean usher_loop_on_stop_signal (UsherLoop *loop, UsherWatchFunc func, gpointer user_data, GError **error);
