/* What instant clones need of libvirt and QEMU: state out of a parent, state into a fork. Calls block; any thread;
 * errors as in virt.h. */
#pragma once
#include "hostd/virt/virt.h"

/* Starts a domain from `spec`, whose `hot` is set: a parent (transient, running), or a fork (beside its persistent
 * definition; paused, waiting for its state). */
gboolean usher_virt_start_hot (UsherVirt *virt, const UsherDomainSpec *spec, GError **error);

gboolean usher_virt_suspend (UsherVirt *virt, const char *id, GError **error);

/* Writes a suspended parent's state, without the RAM it shares, to `fd`. */
gboolean usher_virt_state_out (UsherVirt *virt, const char *id, int fd, guint timeout_ms, GError **error);

/* Feeds a fork its state from `fd`; when it returns the fork is paused and an ordinary domain. */
gboolean usher_virt_state_in (UsherVirt *virt, const char *id, int fd, guint timeout_ms, GError **error);

/* Plugs the data disk, the network card of `spec` into its live domain; success when it has none. */
gboolean usher_virt_plug_data (UsherVirt *virt, const UsherDomainSpec *spec, GError **error);
gboolean usher_virt_plug_network (UsherVirt *virt, const UsherDomainSpec *spec, GError **error);

/* Processor time the domain has used, in nanoseconds. CONFLICT when it does not run. */
gboolean usher_virt_cpu_time (UsherVirt *virt, const char *id, gint64 *out_ns, GError **error);

/* The version of the QEMU that guests here run in, as libvirt counts it. */
gboolean usher_virt_qemu_version (UsherVirt *virt, gint64 *out, GError **error);
