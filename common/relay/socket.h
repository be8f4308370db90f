/* Sockets for the loop: addresses as text, listening, connecting, and a stream on a plain socket. */
#pragma once
#include <glib.h>
#include <sys/socket.h>
#include "common/relay/loop.h"
#include "common/relay/stream.h"

/* A socket address: TCP (numeric) or unix. */
typedef struct {
  struct sockaddr_storage storage;
  socklen_t length;
} UsherAddress;

/* Parses "unix:/PATH", "HOST:PORT" or "[V6]:PORT" where HOST is a number; "localhost" and "" (any, v6 with
 * v4) are known too. INVALID otherwise: names are resolved elsewhere, this never waits. */
gboolean usher_address_parse (const char *text, UsherAddress *out, GError **error);

/* "203.0.113.9", "2001:db8::1", or "unix": the peer without its port. Owned by the caller. */
char *usher_address_host (const UsherAddress *address);

gboolean usher_address_is_unix (const UsherAddress *address);

/* A stream that owns `fd` (non-blocking). NULL with *error, and `fd` closed, when it can't be watched. */
UsherStream *usher_socket_stream_new (UsherLoop *loop, int fd, GError **error);

/* Starts connecting; the stream gives AGAIN until it is connected and FAILED when that failed. */
UsherStream *usher_socket_stream_connect (UsherLoop *loop, const UsherAddress *address, GError **error);

/* How its connecting goes: 0 connected, USHER_IO_AGAIN, USHER_IO_FAILED. */
gssize usher_socket_stream_check (UsherStream *stream);

/* Starts connecting and gives the bare descriptor itself (to put TLS on); -1 with *error. */
int usher_socket_connect (const UsherAddress *address, GError **error);

/* Raises the process's limit of open descriptors as far as it may go: each connection holds up to two. */
void usher_raise_descriptor_limit (void);

typedef struct _UsherListener UsherListener;

/* Takes over `fd` (non-blocking, close-on-exec, TCP_NODELAY). */
typedef void (*UsherAccepted) (int fd, const UsherAddress *peer, gpointer user_data);

/* Listens. A unix socket is made with permission bits `mode`; a dead one left behind is replaced, a
 * live one is an error. */
UsherListener *usher_listener_new (UsherLoop *loop, const UsherAddress *address, int mode, UsherAccepted accepted,
                                   gpointer user_data, GError **error);

/* The port in fact listened on (for port 0); 0 for a unix socket. */
guint usher_listener_port (const UsherListener *listener);

/* Stops listening; a unix socket's path is removed. */
void usher_listener_free (UsherListener *listener);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherListener, usher_listener_free)
