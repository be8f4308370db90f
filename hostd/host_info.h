/* What this host is and has: figures for the sync, sampled on a worker thread. */
#pragma once
#include "common/rpc/sync.h"
#include "hostd/storage/desktop_dir.h"
#include "hostd/storage/template_store.h"

/* Whether guests can run under KVM here: the processor must say so, not only the device node; under nested
 * machines /dev/kvm may be there while a guest on it hangs. `cpuinfo` is /proc/cpuinfo's text. */
gboolean usher_host_cpu_has_virtualisation (const char *cpuinfo);

/* [hostd] domain_type with `auto` resolved; a libvirt URI of the test driver always gives "test". Static. */
const char *usher_host_domain_type (const char *setting, const char *libvirt_uri);

/* Memory in MiB from /proc/meminfo's text: one field, e.g. "MemAvailable"; 0 when it isn't there. */
gint64 usher_host_meminfo_mib (const char *meminfo, const char *field);

typedef struct {
  gint64 cpus, memory_mib, memory_free_mib, disk_free_mib; /* memory without the reserve */
  char **templates;
} UsherHostInfo;

/* Blocks. */
UsherHostInfo *usher_host_info_sample (UsherDesktopDirs *dirs, UsherTemplateStore *templates, gint64 reserve_mib);
void usher_host_info_free (UsherHostInfo *info);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherHostInfo, usher_host_info_free)
