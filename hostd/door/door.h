/* The door of a host: lets a gateway that shows the broker's grant reach one service of one desktop.
 *
 *     gateway ── greeting (common/rpc/door.h) ──► door ── TCP, loopback ──► the desktop's SPICE
 *              ◄── answer, then plain bytes ───
 *
 * It stands on nothing but files: the host's identity, the broker's public key, and RUN/consoles/ID, all
 * read anew for each greeting. So hostd and libvirtd may come and go; a session is cut only by its ends.
 * Those files are a few hundred bytes on a local disk or tmpfs, which is why a loop may read them. */
#pragma once
#include "common/relay/loop.h"
#include "common/relay/socket.h"
#include "common/relay/tls.h"

typedef struct {
  UsherAddress listen;
  int mode;                /* permission bits of a unix socket */
  UsherTls *tls;           /* NULL: none (unix socket only); must outlive the door */
  const char *consoles;    /* directory */
  const char *identity;    /* file: {"host": ID, …} */
  const char *grant_key;   /* file: public key */
  guint connections_max;
  guint greeting_ms;       /* TLS, greeting and reaching the desktop together */
} UsherDoorOptions;

typedef struct _UsherDoor UsherDoor;

/* Listens at once. Copies `options`. */
UsherDoor *usher_door_new (UsherLoop *loop, const UsherDoorOptions *options, GError **error);

/* For tests: port listened on, connections now. */
guint usher_door_port (const UsherDoor *door);
guint usher_door_connections (const UsherDoor *door);

/* Stops listening; what is connected goes on. */
void usher_door_close (UsherDoor *door);

/* Ends everything. */
void usher_door_free (UsherDoor *door);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherDoor, usher_door_free)

/* --- hostd/door/console.c ---------------------------------------------------------------------- */

/* Where `service` of `desktop` listens, from the file hostd wrote. MISSING: the host holds no such
 * desktop, or it has no such service; INVALID: the file is wrong, or points off the loopback. */
gboolean usher_door_console_find (const char *consoles, const char *desktop, const char *service, UsherAddress *out,
                                  GError **error);
