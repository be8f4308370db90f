#include "common/relay/socket.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "common/error.h"

/* --- addresses --------------------------------------------------------------------------------- */

static gboolean
parse_unix (const char *path, UsherAddress *out, GError **error)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  if (path[0] != '/' || strlen (path) >= sizeof address.sun_path)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "address unix:%s: want an absolute path of at most %zu bytes",
                   path, sizeof address.sun_path - 1);
      return FALSE;
    }
  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  memcpy (&out->storage, &address, sizeof address);
  out->length = sizeof address;
  return TRUE;
}

static gboolean
set_ip (const char *host, guint16 port, UsherAddress *out)
{
  struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons (port) };
  struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons (port) };
  if (strcmp (host, "localhost") == 0)
    host = "127.0.0.1";
  if (host[0] == '\0' || strcmp (host, "*") == 0)
    host = "::";
  if (inet_pton (AF_INET, host, &v4.sin_addr) == 1)
    {
      memcpy (&out->storage, &v4, sizeof v4);
      out->length = sizeof v4;
      return TRUE;
    }
  if (inet_pton (AF_INET6, host, &v6.sin6_addr) == 1)
    {
      memcpy (&out->storage, &v6, sizeof v6);
      out->length = sizeof v6;
      return TRUE;
    }
  return FALSE;
}

gboolean
usher_address_parse (const char *text, UsherAddress *out, GError **error)
{
  memset (out, 0, sizeof *out);
  if (g_str_has_prefix (text, "unix:"))
    return parse_unix (text + strlen ("unix:"), out, error);
  const char *colon = strrchr (text, ':');
  guint64 port = 0;
  g_autofree char *host = colon != NULL ? g_strndup (text, (gsize) (colon - text)) : NULL;
  if (host != NULL && g_ascii_string_to_unsigned (colon + 1, 10, 0, 65535, &port, NULL))
    {
      const gsize length = strlen (host);
      const gboolean bracketed = length >= 2 && host[0] == '[' && host[length - 1] == ']';
      if (bracketed)
        host[length - 1] = '\0';
      if (set_ip (bracketed ? host + 1 : host, (guint16) port, out))
        return TRUE;
    }
  g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "address %s: want unix:/PATH, NUMBER:PORT or [V6]:PORT", text);
  return FALSE;
}

gboolean
usher_address_is_unix (const UsherAddress *address)
{
  return address->storage.ss_family == AF_UNIX;
}

char *
usher_address_host (const UsherAddress *address)
{
  char text[INET6_ADDRSTRLEN] = "";
  const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *) &address->storage;
  if (address->storage.ss_family == AF_INET)
    inet_ntop (AF_INET, &((const struct sockaddr_in *) &address->storage)->sin_addr, text, sizeof text);
  else if (address->storage.ss_family != AF_INET6)
    return g_strdup ("unix");
  else if (IN6_IS_ADDR_V4MAPPED (&v6->sin6_addr))
    inet_ntop (AF_INET, &v6->sin6_addr.s6_addr[12], text, sizeof text);
  else
    inet_ntop (AF_INET6, &v6->sin6_addr, text, sizeof text);
  return g_strdup (text);
}

/* --- the plain stream -------------------------------------------------------------------------- */

typedef struct {
  UsherStream base;
  UsherWatch *watch;
  int fd;
} SocketStream;

static gssize
socket_result (UsherStream *stream, gssize n, const char *what)
{
  if (n >= 0)
    return n;
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
    return USHER_IO_AGAIN;
  return usher_stream_fail (stream, "%s: %s", what, g_strerror (errno));
}

static gssize
socket_read (UsherStream *stream, guint8 *bytes, gsize length)
{
  return socket_result (stream, recv (((SocketStream *) stream)->fd, bytes, length, 0), "read");
}

static gssize
socket_write (UsherStream *stream, const guint8 *bytes, gsize length)
{
  return socket_result (stream, send (((SocketStream *) stream)->fd, bytes, length, MSG_NOSIGNAL), "write");
}

static gssize
socket_finish (UsherStream *stream)
{
  if (shutdown (((SocketStream *) stream)->fd, SHUT_WR) == 0)
    return 0;
  return usher_stream_fail (stream, "shutdown: %s", g_strerror (errno));
}

static void
socket_free (UsherStream *stream)
{
  SocketStream *self = (SocketStream *) stream;
  usher_watch_free (self->watch);
  close (self->fd);
  g_free (self);
}

static const UsherStreamClass socket_class = {
  .name = "socket",
  .read = socket_read,
  .write = socket_write,
  .finish = socket_finish,
  .free = socket_free,
};

static void
socket_ready (gpointer user_data)
{
  UsherStream *stream = user_data;
  if (stream->ready != NULL)
    stream->ready (stream->user_data);
}

UsherStream *
usher_socket_stream_new (UsherLoop *loop, int fd, GError **error)
{
  SocketStream *self = g_new0 (SocketStream, 1);
  self->base.klass = &socket_class;
  self->fd = fd;
  self->watch = usher_watch_new (loop, fd, socket_ready, self, error);
  if (self->watch == NULL)
    {
      close (fd);
      g_free (self);
      return NULL;
    }
  return &self->base;
}

/* --- connecting -------------------------------------------------------------------------------- */

static void
set_tcp_options (int fd)
{
  const int on = 1, idle_s = 60, interval_s = 15, count = 4;
  setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt (fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt (fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
  setsockopt (fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
  setsockopt (fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

int
usher_socket_connect (const UsherAddress *address, GError **error)
{
  const int fd = socket (address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd >= 0 && !usher_address_is_unix (address))
    set_tcp_options (fd);
  if (fd >= 0
      && (connect (fd, (const struct sockaddr *) &address->storage, address->length) == 0 || errno == EINPROGRESS))
    return fd;
  g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "connect: %s", g_strerror (errno));
  if (fd >= 0)
    close (fd);
  return -1;
}

UsherStream *
usher_socket_stream_connect (UsherLoop *loop, const UsherAddress *address, GError **error)
{
  const int fd = usher_socket_connect (address, error);
  return fd >= 0 ? usher_socket_stream_new (loop, fd, error) : NULL;
}

gssize
usher_socket_stream_check (UsherStream *stream)
{
  SocketStream *self = (SocketStream *) stream;
  UsherAddress peer = { .length = sizeof peer.storage };
  int reason = 0;
  socklen_t length = sizeof reason;
  if (getsockopt (self->fd, SOL_SOCKET, SO_ERROR, &reason, &length) == 0 && reason != 0)
    return usher_stream_fail (stream, "connect: %s", g_strerror (reason));
  if (getpeername (self->fd, (struct sockaddr *) &peer.storage, &peer.length) == 0)
    return 0;
  return errno == ENOTCONN ? USHER_IO_AGAIN : usher_stream_fail (stream, "connect: %s", g_strerror (errno));
}

void
usher_raise_descriptor_limit (void)
{
  struct rlimit limit;
  if (getrlimit (RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max)
    {
      limit.rlim_cur = limit.rlim_max;
      setrlimit (RLIMIT_NOFILE, &limit);
    }
}

/* --- listening --------------------------------------------------------------------------------- */

struct _UsherListener {
  UsherLoop *loop;
  UsherWatch *watch;
  UsherTimer retry; /* after EMFILE no event would come */
  int fd;
  char *path; /* of a unix socket */
  UsherAccepted accepted;
  gpointer user_data;
};

#define ACCEPTS_A_TURN 64
#define ACCEPT_RETRY_MS 200

static void
accept_some (gpointer user_data)
{
  UsherListener *self = user_data;
  for (guint i = 0; i < ACCEPTS_A_TURN; i++)
    {
      UsherAddress peer = { .length = sizeof peer.storage };
      const int fd = accept4 (self->fd, (struct sockaddr *) &peer.storage, &peer.length, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return;
      if (fd < 0 && errno != ECONNABORTED && errno != EINTR)
        break;
      if (fd < 0)
        continue;
      if (self->path == NULL)
        set_tcp_options (fd);
      self->accepted (fd, &peer, self->user_data);
      if (self->fd < 0)
        return; /* the callback stopped us */
    }
  usher_timer_arm (self->loop, &self->retry, ACCEPT_RETRY_MS, accept_some, self);
}

/* Removes a socket at `path` that nobody listens on. */
static gboolean
clear_dead_socket (const UsherAddress *address, const char *path, GError **error)
{
  const int probe = socket (AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (probe < 0)
    return TRUE;
  const int r = connect (probe, (const struct sockaddr *) &address->storage, address->length);
  const gboolean dead = r < 0 && errno == ECONNREFUSED, absent = r < 0 && errno == ENOENT;
  close (probe);
  if (dead)
    unlink (path);
  if (dead || absent)
    return TRUE;
  g_set_error (error, USHER_ERROR, USHER_ERROR_CONFLICT, "listen on %s: something listens there or is in the way", path);
  return FALSE;
}

/* "Every address" means IPv6 and IPv4, or IPv4 alone on a machine without IPv6. */
static void
without_ipv6 (UsherAddress *address)
{
  struct sockaddr_in6 v6;
  memcpy (&v6, &address->storage, sizeof v6);
  if (v6.sin6_family != AF_INET6 || !IN6_IS_ADDR_UNSPECIFIED (&v6.sin6_addr))
    return;
  const int probe = socket (AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (probe < 0)
    set_ip ("0.0.0.0", ntohs (v6.sin6_port), address);
  else
    close (probe);
}

static gboolean
bind_and_listen (UsherListener *self, const UsherAddress *wanted, int mode, GError **error)
{
  const int on = 1;
  UsherAddress found = *wanted, *address = &found;
  without_ipv6 (address);
  if (self->path != NULL && !clear_dead_socket (address, self->path, error))
    return FALSE;
  self->fd = socket (address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (self->fd >= 0 && self->path == NULL)
    setsockopt (self->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  gboolean bound = self->fd >= 0;
  if (bound && self->path != NULL)
    bound = fchmod (self->fd, (mode_t) mode) == 0; /* before bind: the path never has wider bits */
  bound = bound && bind (self->fd, (const struct sockaddr *) &address->storage, address->length) == 0;
  if (bound && self->path != NULL)
    bound = chmod (self->path, (mode_t) mode) == 0;
  if (bound && listen (self->fd, 511) == 0)
    return TRUE;
  g_autofree char *host = usher_address_host (address);
  g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "listen on %s: %s", self->path != NULL ? self->path : host,
               g_strerror (errno));
  return FALSE;
}

UsherListener *
usher_listener_new (UsherLoop *loop, const UsherAddress *address, int mode, UsherAccepted accepted, gpointer user_data,
                    GError **error)
{
  g_autoptr (UsherListener) self = g_new0 (UsherListener, 1);
  self->loop = loop;
  self->fd = -1;
  self->accepted = accepted;
  self->user_data = user_data;
  if (usher_address_is_unix (address))
    self->path = g_strdup (((const struct sockaddr_un *) &address->storage)->sun_path);
  if (!bind_and_listen (self, address, mode, error))
    {
      g_clear_pointer (&self->path, g_free); /* not ours to remove */
      return NULL;
    }
  self->watch = usher_watch_new (loop, self->fd, accept_some, self, error);
  return self->watch != NULL ? g_steal_pointer (&self) : NULL;
}

guint
usher_listener_port (const UsherListener *listener)
{
  UsherAddress address = { .length = sizeof address.storage };
  if (getsockname (listener->fd, (struct sockaddr *) &address.storage, &address.length) != 0)
    return 0;
  if (address.storage.ss_family == AF_INET)
    return ntohs (((const struct sockaddr_in *) &address.storage)->sin_port);
  if (address.storage.ss_family == AF_INET6)
    return ntohs (((const struct sockaddr_in6 *) &address.storage)->sin6_port);
  return 0;
}

static void
free_listener (gpointer data)
{
  g_free (data);
}

void
usher_listener_free (UsherListener *listener)
{
  if (listener == NULL)
    return;
  usher_timer_disarm (listener->loop, &listener->retry);
  usher_watch_free (listener->watch);
  if (listener->fd >= 0)
    close (listener->fd);
  listener->fd = -1;
  if (listener->path != NULL)
    unlink (listener->path);
  g_free (listener->path);
  usher_loop_bury (listener->loop, listener, free_listener);
}
