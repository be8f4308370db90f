#include "broker/api/listeners.h"
#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>
#include "common/error.h"

#define BACKLOG 512

static GSocket *
fail (GError **error, UsherError code, const char *address, const char *why)
{
  g_set_error (error, USHER_ERROR, code, "listening at %s: %s", address, why);
  return NULL;
}

static gboolean
answers (GSocketAddress *address)
{
  g_autoptr (GSocket) probe = g_socket_new (G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, NULL);
  return probe != NULL && g_socket_connect (probe, address, NULL, NULL);
}

/* The path exists with its final mode only: it is made under the umask that gives `mode`. */
static gboolean
bind_with_mode (GSocket *socket, GSocketAddress *address, int mode, GError **error)
{
  mode_t before = umask ((mode_t) (~mode & 0777));
  gboolean ok = g_socket_bind (socket, address, FALSE, error);
  umask (before);
  return ok;
}

static gboolean
give_to_group (const char *path, const char *group)
{
  const struct group *entry = getgrnam (group);
  return entry != NULL && chown (path, (uid_t) -1, entry->gr_gid) == 0;
}

GSocket *
usher_listen_unix (const char *path, int mode, const char *group, GError **error)
{
  g_autoptr (GError) local = NULL;
  g_autoptr (GSocketAddress) address = g_unix_socket_address_new (path);
  g_autoptr (GSocket) socket = g_socket_new (G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, &local);
  if (socket == NULL)
    return fail (error, USHER_ERROR_UNAVAILABLE, path, local->message);
  if (answers (address))
    return fail (error, USHER_ERROR_CONFLICT, path, "another process listens there");
  g_unlink (path);
  if (!bind_with_mode (socket, address, mode, &local))
    return fail (error, USHER_ERROR_UNAVAILABLE, path, local->message);
  if (group[0] != '\0' && !give_to_group (path, group))
    return fail (error, USHER_ERROR_INVALID, path, "cannot give it to the group of setting [broker] socket_group");
  g_socket_set_listen_backlog (socket, BACKLOG);
  if (!g_socket_listen (socket, &local))
    return fail (error, USHER_ERROR_UNAVAILABLE, path, local->message);
  return g_steal_pointer (&socket);
}

static GSocketAddress *
parse_tcp (const char *text, GError **error)
{
  g_autoptr (GError) local = NULL;
  g_autoptr (GSocketConnectable) parsed = g_network_address_parse (text, 0, &local);
  if (parsed == NULL)
    return (GSocketAddress *) fail (error, USHER_ERROR_INVALID, text, local->message);
  const char *host = g_network_address_get_hostname (G_NETWORK_ADDRESS (parsed));
  guint port = g_network_address_get_port (G_NETWORK_ADDRESS (parsed));
  GSocketAddress *address = g_inet_socket_address_new_from_string (g_str_equal (host, "*") ? "::" : host, port);
  if (address == NULL)
    return (GSocketAddress *) fail (error, USHER_ERROR_INVALID, text, "the host must be a numeric address or *");
  return address;
}

GSocket *
usher_listen_tcp (const char *text, GError **error)
{
  g_autoptr (GError) local = NULL;
  g_autoptr (GSocketAddress) address = parse_tcp (text, error);
  if (address == NULL)
    return NULL;
  g_autoptr (GSocket) socket = g_socket_new (g_socket_address_get_family (address), G_SOCKET_TYPE_STREAM,
                                             G_SOCKET_PROTOCOL_TCP, &local);
  if (socket == NULL)
    return fail (error, USHER_ERROR_UNAVAILABLE, text, local->message);
  g_socket_set_listen_backlog (socket, BACKLOG);
  if (!g_socket_bind (socket, address, TRUE, &local) || !g_socket_listen (socket, &local))
    return fail (error, USHER_ERROR_UNAVAILABLE, text, local->message);
  return g_steal_pointer (&socket);
}
