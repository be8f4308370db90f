/* Elastic memory of a live domain: virtio-mem, /machine/peripheral/vmem0. Beside its ram_mib a domain has `actual_mib`
 * more at the moment. Calls block; any thread. MISSING when the domain is not there or has no such device (a linked
 * clone); CONFLICT when it is off. */
#pragma once
#include "hostd/virt/virt.h"

typedef struct {
  gint64 requested_mib; /* what the guest was asked to take */
  gint64 actual_mib;    /* what it has taken, or not yet given back */
  gint64 maximum_mib;
} UsherElastic;

gboolean usher_virt_get_elastic (UsherVirt *virt, const char *id, UsherElastic *out, GError **error);

/* Asks the guest to take or give back; returns at once, actual follows within seconds (giving back may stop short:
 * what the guest can't move). INVALID when beyond the maximum. Rounded down to the device's blocks of 2 MiB. */
gboolean usher_virt_set_elastic (UsherVirt *virt, const char *id, gint64 requested_mib, GError **error);
