#include "ctl/interrupt.h"
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

static const int signals[] = { SIGINT, SIGTERM, SIGHUP };

static GCancellable *cancellable;
static int came;

static void
fill (sigset_t *set)
{
  sigemptyset (set);
  for (gsize i = 0; i < G_N_ELEMENTS (signals); i++)
    sigaddset (set, signals[i]);
}

static void *
wait_for_signals (void *user_data)
{
  sigset_t set;
  int number;

  fill (&set);
  if (sigwait (&set, &number) == 0) {
    g_atomic_int_set (&came, number);
    g_cancellable_cancel (cancellable);
    if (sigwait (&set, &number) == 0)
      _exit (128 + number);
  }
  return NULL;
}

GCancellable *
usher_interrupt_watch (void)
{
  sigset_t set;
  pthread_t thread;

  if (cancellable != NULL)
    return cancellable;
  cancellable = g_cancellable_new ();
  fill (&set);
  pthread_sigmask (SIG_BLOCK, &set, NULL);
  if (pthread_create (&thread, NULL, wait_for_signals, NULL) != 0)
    pthread_sigmask (SIG_UNBLOCK, &set, NULL);
  else
    pthread_detach (thread);
  return cancellable;
}

int
usher_interrupt_signal (void)
{
  return g_atomic_int_get (&came);
}

gboolean
usher_interrupt_sleep (guint ms, GError **error)
{
  struct pollfd fd = { .fd = g_cancellable_get_fd (usher_interrupt_watch ()), .events = POLLIN };

  poll (&fd, 1, (int) ms);
  g_cancellable_release_fd (cancellable);
  return !g_cancellable_set_error_if_cancelled (cancellable, error);
}

void
usher_interrupt_forget (void)
{
  sigset_t set;

  sigemptyset (&set);
  sigprocmask (SIG_SETMASK, &set, NULL);
}
