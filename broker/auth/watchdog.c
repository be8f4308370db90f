#include "broker/auth/watchdog.h"
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

struct _UsherWatchdog {
  GThread *thread;
  int fd;
  gint64 until_us;
  GMutex lock;
  GCond changed;
  gboolean called_off; /* under lock, as is bitten */
  gboolean bitten;
};

static gpointer
watch (gpointer data)
{
  UsherWatchdog *watchdog = data;

  g_mutex_lock (&watchdog->lock);
  while (!watchdog->called_off && !watchdog->bitten)
    if (!g_cond_wait_until (&watchdog->changed, &watchdog->lock, watchdog->until_us) && !watchdog->called_off) {
      watchdog->bitten = TRUE;
      shutdown (watchdog->fd, SHUT_RDWR);
    }
  g_mutex_unlock (&watchdog->lock);
  return NULL;
}

UsherWatchdog *
usher_watchdog_new (int fd, gint64 until_us)
{
  UsherWatchdog *watchdog = g_new0 (UsherWatchdog, 1);

  watchdog->fd = fcntl (fd, F_DUPFD_CLOEXEC, 3);
  watchdog->until_us = until_us;
  g_mutex_init (&watchdog->lock);
  g_cond_init (&watchdog->changed);
  watchdog->thread = g_thread_new ("ldap-watchdog", watch, watchdog);
  return watchdog;
}

gboolean
usher_watchdog_free (UsherWatchdog *watchdog)
{
  gboolean bitten;

  g_mutex_lock (&watchdog->lock);
  watchdog->called_off = TRUE;
  g_cond_signal (&watchdog->changed);
  g_mutex_unlock (&watchdog->lock);
  g_thread_join (watchdog->thread);
  bitten = watchdog->bitten;
  if (watchdog->fd >= 0)
    close (watchdog->fd);
  g_mutex_clear (&watchdog->lock);
  g_cond_clear (&watchdog->changed);
  g_free (watchdog);
  return bitten;
}
