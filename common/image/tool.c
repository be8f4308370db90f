#include "common/image/tool.h"
#include "common/error.h"
#include "common/json.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define TEXT_MAX (1024 * 1024)
#define COMPLAINT_MAX 4096
#define CHECK_FOUND_LEAKS 3 /* qemu-img check's exit status: octets that nothing uses, which harm nobody */
#define GIB (G_GUINT64_CONSTANT (1) << 30)

/* Enough to look at any image; its tables are in memory meanwhile. */
static const UsherConfineLimits look_limits = { .cpu_s = 120, .time_s = 300, .memory = 2 * GIB, .file_size = 0 };

typedef struct {
  pid_t pid;
  int pidfd, out, err;
  GString *text, *complaint;
  UsherImageStep step;
  gpointer user_data;
} Child;

/* ---- between fork and exec: nothing that allocates ---- */

static G_NORETURN void
give_up (const char *what)
{
  const char *why = strerrordesc_np (errno);

  if (write (STDERR_FILENO, "could not be confined: ", 23) > 0 && write (STDERR_FILENO, what, strlen (what)) > 0 && why != NULL &&
      write (STDERR_FILENO, ": ", 2) > 0 && write (STDERR_FILENO, why, strlen (why)) > 0)
    _exit (126);
  _exit (126);
}

static G_NORETURN void
become (const char *path, char *const *words, int input, int out, int err, const UsherConfinement *confinement, pid_t parent)
{
  static char *const environment[] = { "LC_ALL=C.UTF-8", "PATH=/usr/bin:/bin", NULL };
  struct sigaction normal = { .sa_handler = SIG_DFL };
  const char *failed;
  sigset_t none;

  sigemptyset (&none);
  sigprocmask (SIG_SETMASK, &none, NULL);
  sigaction (SIGPIPE, &normal, NULL);
  /* A Ctrl-C on the terminal is for us: we end the child. */
  if (setsid () < 0 || dup2 (out, STDOUT_FILENO) < 0 || dup2 (err, STDERR_FILENO) < 0 || dup2 (input, 3) < 0)
    give_up ("descriptors");
  fcntl (3, F_SETFD, 0);
  if (close_range (4, ~0u, 0) != 0)
    give_up ("descriptors");
  close (STDIN_FILENO);
  if (open ("/dev/null", O_RDONLY) != STDIN_FILENO)
    give_up ("descriptors");
  failed = usher_confinement_enter (confinement);
  if (failed != NULL)
    give_up (failed);
  /* After the change of account, which takes it back. */
  if (prctl (PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid () != parent)
    give_up ("death with its parent");
  execve (path, words, environment);
  give_up (path);
}

/* ---- the parent ---- */

/* A descriptor at least 10, so that 0 to 3 can be put in place in the child. */
static int
lift (int fd)
{
  int high = fcntl (fd, F_DUPFD_CLOEXEC, 10);

  close (fd);
  return high;
}

static gboolean
start (Child *child, const char *const *words, int fd, const UsherConfinement *confinement, GError **error)
{
  g_autofree char *path = g_find_program_in_path (words[0]);
  int out[2] = { -1, -1 }, err[2] = { -1, -1 }, input = -1;
  pid_t parent = getpid ();

  if (path == NULL) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "%s is not installed", words[0]);
    return FALSE;
  }
  if (pipe2 (out, O_CLOEXEC) == 0 && pipe2 (err, O_CLOEXEC) == 0 && (input = fcntl (fd, F_DUPFD_CLOEXEC, 10)) >= 0) {
    out[1] = lift (out[1]);
    err[1] = lift (err[1]);
    child->pid = fork ();
    if (child->pid == 0)
      become (path, (char *const *) words, input, out[1], err[1], confinement, parent);
    child->pidfd = child->pid > 0 ? (int) syscall (SYS_pidfd_open, child->pid, 0) : -1;
  }
  if (child->pid <= 0 || child->pidfd < 0)
    g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "%s can't be started: %s", path, g_strerror (errno));
  if (input >= 0)
    close (input);
  if (out[1] >= 0)
    close (out[1]);
  if (err[1] >= 0)
    close (err[1]);
  child->out = out[0];
  child->err = err[0];
  return child->pid > 0 && child->pidfd >= 0;
}

/* The last "(12.34/100%)" of what came. */
static void
tell_progress (Child *child, const char *text, gsize length)
{
  g_autofree char *piece = g_strndup (text, length);
  const char *at = strrchr (piece, '(');
  char *end = NULL;
  double percent = at != NULL ? g_ascii_strtod (at + 1, &end) : 0;

  if (child->step != NULL && end != NULL && *end == '/' && percent >= 0 && percent <= 100)
    child->step (percent, child->user_data);
}

/* Reads what is there; at its end the descriptor becomes -1. */
static void
drain (Child *child, int *fd, GString *into, gsize most)
{
  char buffer[16384];
  gssize got = read (*fd, buffer, sizeof buffer);

  if (got < 0 && errno == EINTR)
    return;
  if (got <= 0) {
    close (*fd);
    *fd = -1;
    return;
  }
  if (fd == &child->out)
    tell_progress (child, buffer, (gsize) got);
  g_string_append_len (into, buffer, (gssize) MIN ((gsize) got, most - MIN (most, into->len)));
}

static gboolean
may_go_on (gint64 until_us, guint time_s, GCancellable *cancellable, GError **error)
{
  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return FALSE;
  if (g_get_monotonic_time () < until_us)
    return TRUE;
  g_set_error (error, USHER_ERROR, USHER_ERROR_TOO_LARGE, "qemu-img had %u s for it and did not end", time_s);
  return FALSE;
}

/* Until it has ended and all it said is read; FALSE when it was killed for `cancellable` or the clock. */
static gboolean
attend (Child *child, guint time_s, GCancellable *cancellable, GError **error)
{
  gint64 until_us = g_get_monotonic_time () + (gint64) time_s * G_USEC_PER_SEC;
  int cancel = cancellable != NULL ? g_cancellable_get_fd (cancellable) : -1;
  gboolean going = TRUE, ended = FALSE;

  while (going && (!ended || child->out >= 0 || child->err >= 0)) {
    struct pollfd fds[] = { { child->out, POLLIN, 0 }, { child->err, POLLIN, 0 }, { ended ? -1 : child->pidfd, POLLIN, 0 }, { cancel, POLLIN, 0 } };
    gint64 left_ms = (until_us - g_get_monotonic_time ()) / 1000 + 1;
    if (poll (fds, G_N_ELEMENTS (fds), (int) CLAMP (left_ms, 0, 60000)) < 0)
      continue; /* interrupted: nothing of fds is said */
    going = may_go_on (until_us, time_s, cancellable, error);
    if (going && fds[0].revents != 0)
      drain (child, &child->out, child->text, TEXT_MAX);
    if (going && fds[1].revents != 0)
      drain (child, &child->err, child->complaint, COMPLAINT_MAX);
    ended = ended || fds[2].revents != 0;
  }
  if (cancel >= 0)
    g_cancellable_release_fd (cancellable);
  if (!going)
    kill (child->pid, SIGKILL);
  return going;
}

/* `also_good`: an exit status that is no failure, besides 0. */
static gboolean
judge (const Child *child, int status, int also_good, GError **error)
{
  g_autofree char *complaint = g_utf8_make_valid (child->complaint->str, (gssize) child->complaint->len);

  g_strstrip (complaint);
  if (WIFEXITED (status) && (WEXITSTATUS (status) == 0 || WEXITSTATUS (status) == also_good))
    return TRUE;
  if (WIFSIGNALED (status) && (WTERMSIG (status) == SIGXFSZ || WTERMSIG (status) == SIGXCPU || WTERMSIG (status) == SIGKILL))
    g_set_error (error, USHER_ERROR, USHER_ERROR_TOO_LARGE, "qemu-img reached its limit of %s",
                 WTERMSIG (status) == SIGXFSZ ? "bytes to write" : "processor time or memory");
  else if (WIFSIGNALED (status))
    g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "qemu-img died of it (signal %d: %s)", WTERMSIG (status),
                 strsignal (WTERMSIG (status)));
  else if (WEXITSTATUS (status) == 126)
    g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "qemu-img %s", complaint);
  else
    g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "%s",
                 g_str_has_prefix (complaint, "qemu-img: ") ? complaint + strlen ("qemu-img: ") : *complaint != '\0' ? complaint : "qemu-img says no");
  return FALSE;
}

static gboolean
run (const char *const *words, int fd, const UsherConfineLimits *limits, int also_good, GCancellable *cancellable,
     UsherImageStep step, gpointer user_data, char **out_text, GError **error)
{
  g_autoptr (UsherConfinement) confinement = usher_confinement_new (limits, error);
  g_autoptr (GString) text = g_string_new (NULL), complaint = g_string_new (NULL);
  Child child = { .out = -1, .err = -1, .pidfd = -1, .text = text, .complaint = complaint, .step = step, .user_data = user_data };
  gboolean done = FALSE;
  int status = 0;

  if (confinement == NULL)
    return FALSE;
  if (start (&child, words, fd, confinement, error))
    done = attend (&child, limits->time_s, cancellable, error);
  else if (child.pid > 0)
    kill (child.pid, SIGKILL);
  if (child.pid > 0) {
    while (waitpid (child.pid, &status, 0) < 0 && errno == EINTR)
      continue;
    done = done && judge (&child, status, also_good, error);
  }
  for (gsize i = 0; i < 3; i++) {
    int one = i == 0 ? child.out : i == 1 ? child.err : child.pidfd;
    if (one >= 0)
      close (one);
  }
  if (done && out_text != NULL)
    *out_text = g_strdup (text->str);
  return done;
}

gboolean
usher_image_tool_run (const char *const *words, int fd, const UsherConfineLimits *limits, GCancellable *cancellable,
                      UsherImageStep step, gpointer user_data, char **out_text, GError **error)
{
  return run (words, fd, limits, 0, cancellable, step, user_data, out_text, error);
}

/* Members of `qemu-img info` that say that the image is not all there is. */
static const char *const references[] = { "backing-filename", "full-backing-filename", "backing-image" };

static gboolean
check_info (const json_t *info, GError **error)
{
  const json_t *data = json_object_get (json_object_get (info, "format-specific"), "data");
  const json_t *extents = json_object_get (data, "extents");

  for (gsize i = 0; i < G_N_ELEMENTS (references); i++)
    if (json_object_get (info, references[i]) != NULL) {
      g_set_error_literal (error, USHER_ERROR, USHER_ERROR_REFUSED, "it stands on another image (backing file)");
      return FALSE;
    }
  if (json_is_string (json_object_get (data, "data-file")) || json_array_size (extents) > 1) {
    g_set_error_literal (error, USHER_ERROR, USHER_ERROR_REFUSED, "its data is in other files");
    return FALSE;
  }
  if (json_is_true (json_object_get (info, "encrypted"))) {
    g_set_error_literal (error, USHER_ERROR, USHER_ERROR_REFUSED, "it is encrypted");
    return FALSE;
  }
  return TRUE;
}

gboolean
usher_image_tool_info (int fd, UsherImageFormat format, GCancellable *cancellable, guint64 *out_virtual_size, GError **error)
{
  const char *words[] = { "qemu-img", "info", "--output=json", "-f", usher_image_format_name (format), USHER_IMAGE_TOOL_FILE, NULL };
  g_autofree char *text = NULL;
  json_auto_t *info = NULL;

  if (!usher_image_tool_run (words, fd, &look_limits, cancellable, NULL, NULL, &text, error))
    return FALSE;
  info = usher_json_parse (text, strlen (text), "qemu-img info", error);
  if (info == NULL || !check_info (info, error))
    return FALSE;
  *out_virtual_size = (guint64) MAX (usher_json_int (info, "virtual-size"), 0);
  return TRUE;
}

gboolean
usher_image_tool_check (int fd, GCancellable *cancellable, GError **error)
{
  const char *words[] = { "qemu-img", "check", "-q", "-f", "qcow2", USHER_IMAGE_TOOL_FILE, NULL };

  return run (words, fd, &look_limits, CHECK_FOUND_LEAKS, cancellable, NULL, NULL, NULL, error);
}
