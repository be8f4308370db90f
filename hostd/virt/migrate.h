/* Live migration of a desktop, whatever it came from. Calls block; any thread; errors as in virt.h. */
#pragma once
#include "hostd/virt/virt.h"

/* Why the live domain cannot be live-migrated as it is; NULL: nothing known stands in the way. Owned by the caller. */
gboolean usher_virt_migrate_check (UsherVirt *virt, const char *id, char **out_obstacle, GError **error);

/* Moves the live domain with its definition to another host's libvirt, whose disks must be the same files.
 * `libvirt_uri` is that libvirt as this host's libvirt reaches it, `data_uri` where its QEMU listens meanwhile
 * (tcp://ADDRESS:PORT); NULL: libvirt chooses. A fork arrives with RAM of its own: it needs neither its parent nor
 * usher-emulator there. CONFLICT: usher_virt_migrate_check()'s obstacle, and nothing was tried. */
gboolean usher_virt_migrate (UsherVirt *virt, const char *id, const char *libvirt_uri, const char *data_uri, GError **error);
