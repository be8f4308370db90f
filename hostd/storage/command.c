#include "hostd/storage/command.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"

#define MESSAGE_MAX 2000

/* Between fork and exec. */
static void
in_child (gpointer data)
{
  prctl (PR_SET_PDEATHSIG, SIGKILL);
}

/* Collects what comes on `fd` until its end; FALSE at the deadline. Keeps the first MESSAGE_MAX bytes. */
static gboolean
read_all (int fd, GString *out, gint64 deadline_us)
{
  while (TRUE)
    {
      struct pollfd one = { .fd = fd, .events = POLLIN };
      gint64 left_ms = (deadline_us - g_get_monotonic_time ()) / 1000;
      char bytes[512];
      if (left_ms <= 0)
        return FALSE;
      if (poll (&one, 1, (int) MIN (left_ms, 60000)) <= 0)
        continue;
      gssize length = read (fd, bytes, sizeof bytes);
      if (length < 0 && (errno == EINTR || errno == EAGAIN))
        continue;
      if (length <= 0)
        return TRUE;
      g_string_append_len (out, bytes, MIN (length, (gssize) (MESSAGE_MAX - out->len)));
    }
}

static gboolean
judge (const char *program, int status, const char *said, GError **error)
{
  if (WIFEXITED (status) && WEXITSTATUS (status) == 0)
    return TRUE;
  gboolean full = strstr (said, "No space left on device") != NULL || strstr (said, "Disk quota exceeded") != NULL;
  g_set_error (error, USHER_ERROR, full ? USHER_ERROR_EXHAUSTED : USHER_ERROR_INTERNAL, "%s: %s", program,
               *said != '\0' ? said : "failed and does not say why");
  return FALSE;
}

gboolean
usher_command_run (const char *const *argv, guint timeout_s, GError **error)
{
  GPid pid;
  int fd, status = 0;
  g_autoptr (GError) problem = NULL;
  g_autoptr (GString) said = g_string_new (NULL);
  if (!g_spawn_async_with_pipes (NULL, (char **) argv, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDOUT_TO_DEV_NULL,
                                 in_child, NULL, &pid, NULL, NULL, &fd, &problem))
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "%s: %s", argv[0], problem->message);
      return FALSE;
    }
  gboolean ended = read_all (fd, said, g_get_monotonic_time () + (gint64) timeout_s * G_USEC_PER_SEC);
  if (!ended)
    kill (pid, SIGKILL);
  close (fd);
  while (waitpid (pid, &status, 0) < 0 && errno == EINTR)
    continue;
  if (!ended)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "%s: not done within %u s", argv[0], timeout_s);
      return FALSE;
    }
  return judge (argv[0], status, g_strchomp (said->str), error);
}
