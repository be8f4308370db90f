/* The connection to libvirt that the calls of virt.h share. Private to hostd/virt. */
#pragma once
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include "hostd/virt/virt.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC (virDomain, virDomainFree)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (virConnect, virConnectClose)

/* A reference to the open connection (virConnectClose() it), opened anew if need be. */
virConnectPtr usher_virt_connect (UsherVirt *virt, GError **error);

const char *usher_virt_deployment (const UsherVirt *virt);

/* Whether it is libvirt's test driver, which lacks devices, agents and some flags. */
gboolean usher_virt_is_test (const UsherVirt *virt);

/* Sets *error from libvirt's last error of this thread; `what` says what was tried. Returns FALSE. */
gboolean usher_virt_failed (GError **error, const char *what);

/* The domain `id` (virDomainFree() it); NULL and MISSING when there is none. */
virDomainPtr usher_virt_lookup (UsherVirt *virt, const char *id, GError **error);

/* Waits before the next question of a kind: the first times `first_us`, longer each time, up to fifteen times that.
 * Whoever is slow is busy, and many that ask often make it slower. `tries` counts the questions so far. */
void usher_virt_pause (guint first_us, guint tries);
