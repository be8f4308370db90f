#include "hostd/clone/golden.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <pwd.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fault.h"
#include "common/log.h"
#include "hostd/clone/handover.h"
#include "hostd/clone/pending.h"

#define CLIENTS_MAX 256
#define BACKLOG 128

struct _UsherGolden {
  char *path, *emulator;
  uid_t user;            /* QEMU's, beside root */
  int listener;
  GMainContext *context; /* of the thread */
  GMainLoop *loop;
  GThread *thread;
  GPtrArray *clients;    /* the thread's own */
  GMutex lock;           /* guards pending */
  UsherPending *pending;
};

/* One emulator that connected. */
typedef struct {
  UsherGolden *golden;
  int fd;
  GSource *readable, *deadline;
} Client;

static gint64
now_ms (void)
{
  return g_get_monotonic_time () / 1000;
}

/* libvirt's user for QEMU, as distributions name it; root where there is none. */
static uid_t
find_qemu_user (void)
{
  static const char *const names[] = { "libvirt-qemu", "qemu" };
  for (gsize i = 0; i < G_N_ELEMENTS (names); i++)
    {
      struct passwd entry, *found = NULL;
      char space[4096];
      if (getpwnam_r (names[i], &entry, space, sizeof space, &found) == 0 && found != NULL)
        return found->pw_uid;
    }
  return 0;
}

/* ---- who may ask ---- */

/* Whether process `pid` runs the file `program`, whatever its name is where that process lives. */
static gboolean
runs (pid_t pid, const char *program)
{
  struct stat running, wanted;
  g_autofree char *exe = g_strdup_printf ("/proc/%d/exe", (int) pid);
  return stat (exe, &running) == 0 && stat (program, &wanted) == 0 && running.st_dev == wanted.st_dev
         && running.st_ino == wanted.st_ino;
}

/* NULL when the process behind the connection may ask; else why not. */
static const char *
objection (const UsherGolden *golden, int fd)
{
  struct ucred peer;
  socklen_t size = sizeof peer;
  if (getsockopt (fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
    return "who asks cannot be found out";
  if (peer.uid != 0 && peer.uid != golden->user)
    return "only QEMU's user may ask";
  return runs (peer.pid, golden->emulator) ? NULL : "only usher-emulator may ask";
}

/* ---- answering ---- */

static void
answer (int connection, const char *text, int ram)
{
  union {
    struct cmsghdr head;
    char space[CMSG_SPACE (sizeof (int))];
  } control = { 0 };
  struct iovec part = { (char *) text, strlen (text) };
  struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
  if (ram >= 0)
    {
      message.msg_control = &control;
      message.msg_controllen = sizeof control;
      struct cmsghdr *head = CMSG_FIRSTHDR (&message);
      *head = (struct cmsghdr) { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN (sizeof ram) };
      memcpy (CMSG_DATA (head), &ram, sizeof ram);
    }
  if (sendmsg (connection, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
    usher_log (USHER_LOG_WARNING, NULL, "golden RAM: an emulator went away: %s", g_strerror (errno));
}

/* What was announced to whom shows this packet; -1 and why not. */
static int
take (UsherGolden *golden, const char *text, const char **out_why)
{
  g_auto (GStrv) words = g_strsplit (text, " ", 2);
  *out_why = "not understood";
  if (g_strv_length (words) != 2 || !usher_id_is_valid (words[0]) || !usher_token_is_valid (words[1]))
    return -1;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&golden->lock);
  return usher_pending_take (golden->pending, words[0], words[1], now_ms (), out_why);
}

static void
serve (UsherGolden *golden, int connection, const char *text)
{
  USHER_FAULT_POINT ("clone.golden.asked");
  const char *why = objection (golden, connection);
  int ram = why == NULL ? take (golden, text, &why) : -1;
  if (ram < 0)
    usher_log (USHER_LOG_WARNING, NULL, "golden RAM refused: %s", why);
  answer (connection, ram >= 0 ? USHER_HANDOVER_OK : why, ram);
  USHER_FAULT_POINT ("clone.golden.handed");
  if (ram >= 0)
    close (ram);
}

/* ---- connections ---- */

static void
client_free (gpointer data)
{
  Client *client = data;
  GSource *sources[] = { client->readable, client->deadline };
  for (gsize i = 0; i < G_N_ELEMENTS (sources); i++)
    {
      g_source_destroy (sources[i]);
      g_source_unref (sources[i]);
    }
  close (client->fd);
  g_free (client);
}

static gboolean
on_readable (int fd, GIOCondition condition, gpointer data)
{
  Client *client = data;
  char text[USHER_HANDOVER_MAX + 1] = { 0 };
  gssize length = recv (fd, text, USHER_HANDOVER_MAX, MSG_DONTWAIT);
  if (length < 0 && (errno == EAGAIN || errno == EINTR))
    return G_SOURCE_CONTINUE;
  if (length > 0)
    serve (client->golden, fd, text);
  g_ptr_array_remove (client->golden->clients, client);
  return G_SOURCE_REMOVE;
}

static gboolean
on_deadline (gpointer data)
{
  Client *client = data;
  g_ptr_array_remove (client->golden->clients, client);
  return G_SOURCE_REMOVE;
}

static GSource *
attach (UsherGolden *golden, GSource *source, GSourceFunc func, gpointer data)
{
  g_source_set_callback (source, func, data, NULL);
  g_source_attach (source, golden->context);
  return source;
}

static gboolean
on_connection (int listener, GIOCondition condition, gpointer data)
{
  UsherGolden *golden = data;
  int fd = accept4 (listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0)
    return G_SOURCE_CONTINUE;
  if (golden->clients->len >= CLIENTS_MAX)
    {
      close (fd);
      return G_SOURCE_CONTINUE;
    }
  Client *client = g_new0 (Client, 1);
  client->golden = golden;
  client->fd = fd;
  client->readable = attach (golden, g_unix_fd_source_new (fd, G_IO_IN | G_IO_HUP), G_SOURCE_FUNC (on_readable), client);
  client->deadline = attach (golden, g_timeout_source_new_seconds (USHER_HANDOVER_WAIT_S), on_deadline, client);
  g_ptr_array_add (golden->clients, client);
  return G_SOURCE_CONTINUE;
}

static gpointer
thread_main (gpointer data)
{
  UsherGolden *golden = data;
  g_main_context_push_thread_default (golden->context);
  g_main_loop_run (golden->loop);
  g_ptr_array_set_size (golden->clients, 0);
  g_main_context_pop_thread_default (golden->context);
  return NULL;
}

/* ---- life ---- */

static gboolean
failed (GError **error, const char *path, const char *what)
{
  g_set_error (error, USHER_ERROR, USHER_ERROR_INTERNAL, "%s: %s: %s", path, what, g_strerror (errno));
  return FALSE;
}

static gboolean
listen_on (UsherGolden *golden, GError **error)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  if (strlen (golden->path) >= sizeof address.sun_path)
    {
      errno = ENAMETOOLONG;
      return failed (error, golden->path, "the socket for golden RAM");
    }
  memcpy (address.sun_path, golden->path, strlen (golden->path));
  golden->listener = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (golden->listener < 0)
    return failed (error, golden->path, "socket");
  if (unlink (golden->path) < 0 && errno != ENOENT)
    return failed (error, golden->path, "removing the old socket");
  /* Nobody can connect before listen(): so it has its owner and mode by then. */
  if (bind (golden->listener, (struct sockaddr *) &address, sizeof address) < 0)
    return failed (error, golden->path, "bind");
  if (chmod (golden->path, 0600) < 0 || (geteuid () == 0 && chown (golden->path, golden->user, 0) < 0))
    return failed (error, golden->path, "giving the socket to QEMU's user");
  if (listen (golden->listener, BACKLOG) < 0)
    return failed (error, golden->path, "listen");
  return TRUE;
}

UsherGolden *
usher_golden_new (const char *path, const char *emulator, GError **error)
{
  g_autoptr (UsherGolden) golden = g_new0 (UsherGolden, 1);
  golden->path = g_strdup (path);
  golden->emulator = g_strdup (emulator);
  golden->user = find_qemu_user ();
  golden->listener = -1;
  golden->pending = usher_pending_new ();
  golden->clients = g_ptr_array_new_with_free_func (client_free);
  golden->context = g_main_context_new ();
  golden->loop = g_main_loop_new (golden->context, FALSE);
  g_mutex_init (&golden->lock);
  if (!listen_on (golden, error))
    return NULL;
  g_autoptr (GSource) source = attach (golden, g_unix_fd_source_new (golden->listener, G_IO_IN), G_SOURCE_FUNC (on_connection), golden);
  golden->thread = g_thread_new ("golden-ram", thread_main, golden);
  return g_steal_pointer (&golden);
}

static gboolean
quit (gpointer data)
{
  g_main_loop_quit (((UsherGolden *) data)->loop);
  return G_SOURCE_REMOVE;
}

void
usher_golden_free (UsherGolden *golden)
{
  if (golden->thread != NULL)
    {
      g_autoptr (GSource) source = attach (golden, g_idle_source_new (), quit, golden); /* also when the loop has yet to begin */
      g_thread_join (golden->thread);
      unlink (golden->path);
    }
  if (golden->listener >= 0)
    close (golden->listener);
  g_ptr_array_unref (golden->clients);
  g_main_loop_unref (golden->loop);
  g_main_context_unref (golden->context);
  usher_pending_free (golden->pending);
  g_mutex_clear (&golden->lock);
  g_free (golden->path);
  g_free (golden->emulator);
  g_free (golden);
}

const char *
usher_golden_get_path (const UsherGolden *golden)
{
  return golden->path;
}

gboolean
usher_golden_announce (UsherGolden *golden, const char *id, int fd, guint ttl_s, char out_ticket[USHER_TOKEN_SIZE],
                       GError **error)
{
  int copy = fcntl (fd, F_DUPFD_CLOEXEC, 3);
  if (copy < 0)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_EXHAUSTED, "golden RAM: no descriptor left: %s", g_strerror (errno));
      return FALSE;
    }
  usher_token_new (out_ticket);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&golden->lock);
  usher_pending_add (golden->pending, id, out_ticket, copy, now_ms () + (gint64) ttl_s * 1000);
  return TRUE;
}

void
usher_golden_withdraw (UsherGolden *golden, const char *id)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&golden->lock);
  usher_pending_remove (golden->pending, id);
}
