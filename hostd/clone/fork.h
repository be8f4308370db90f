/* Forking a desktop from a parent. Blocks for about half a second; runs beside other forks, also of the same parent. */
#pragma once
#include "hostd/clone/parents.h"
#include "hostd/virt/domain_xml.h"

typedef struct {
  const char *user;  /* the person it is for; NULL or "": nobody yet */
  gint64 start;      /* of UsherDomainRun: which start this is */
  gint64 started_at; /* Unix seconds */
} UsherForkOrder;

/* Makes the desktop that `cold` describes, as a fork of `parent`.
 *
 * `cold` is the linked clone that this desktop is when it starts anew one day: disk (absolute path), serial_log,
 * network, data, secret, name, id … as for usher_virt_define(); its base and base_below are set here from the parent.
 * Its machine, video, vcpus and ram_mib must be the parent's.
 *
 * 1. Makes the overlay cold->disk ANEW: whatever that file held is lost. Only for a desktop that nobody has used yet.
 * 2. Defines `cold`; then starts the fork's own live definition with run metadata {start, started_at, forking: TRUE}.
 * 3. State in, resume, data disk plugged, identity by the guest agent, network card plugged.
 * 4. usher_virt_set_run() {start, started_at, ready: TRUE}: from here on it is a desktop like any other, and ready.
 *
 * On failure the live domain is destroyed and the definition of `cold` stays; the error names the step. Another fork
 * may be tried at once, or usher_virt_start() for a cold start from the same disk. A hostd killed halfway leaves a
 * domain whose run says `forking`: usher_virt_destroy() it, then the same choice. Errors: UNAVAILABLE (libvirt away,
 * or a step took too long), EXHAUSTED (memory, disk), CONFLICT (the domain runs already), REFUSED (its guest cannot
 * take an identity: no fork of it will), INTERNAL. */
gboolean usher_clone_fork (UsherParents *parents, UsherParent *parent, const UsherDomainSpec *cold, const UsherForkOrder *order,
                           GError **error);

/* Tells a running desktop whose it is from now on. Success: its guest's identity program took it. The errors are those of
 * usher_virt_agent_run(). */
gboolean usher_clone_tell_user (UsherVirt *virt, const char *id, const char *user, GError **error);
