/* The sockets the broker listens on. */
#pragma once
#include <gio/gio.h>

/* A listening unix socket at `path` with permission bits `mode` (e.g. 0660) and, unless `group` is "", that
 * group. A socket that nobody listens on any more is replaced; one that answers is CONFLICT. */
GSocket *usher_listen_unix (const char *path, int mode, const char *group, GError **error);

/* A listening TCP socket at "HOST:PORT" (HOST a numeric address or "*"). */
GSocket *usher_listen_tcp (const char *address, GError **error);
