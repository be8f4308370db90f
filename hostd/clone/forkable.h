/* Whether desktops of a template version and size can be forked on this host. Pure. */
#pragma once
#include <glib.h>
#include "templates/manifest.h"

/* NULL when they can; else why not, in words for `clone_reason` and the parent's `reason`; owned by the caller.
 * `domain_type` kvm | qemu | test; `vcpus` and `ram_mib` of the desktop. */
char *usher_clone_check_forkable (const UsherTemplateManifest *manifest, const char *domain_type, gint64 vcpus, gint64 ram_mib);

/* How much memory virtio-mem can add to a fork of `ram_mib`, in MiB. */
gint64 usher_clone_elastic_mib (gint64 ram_mib);
