#include "hostd/clone/forkable.h"

#include <string.h>

/* With three times its size to grow into, a desktop that was cut small gets to what a large one has. Memory nobody
 * plugs costs the host nothing. */
#define ELASTIC_TIMES 3
#define ELASTIC_ALIGN_MIB 128 /* the blocks in which Linux on x86 takes memory */

gint64
usher_clone_elastic_mib (gint64 ram_mib)
{
  return (ram_mib * ELASTIC_TIMES + ELASTIC_ALIGN_MIB - 1) / ELASTIC_ALIGN_MIB * ELASTIC_ALIGN_MIB;
}

char *
usher_clone_check_forkable (const UsherTemplateManifest *manifest, const char *domain_type, gint64 vcpus, gint64 ram_mib)
{
  if (strcmp (domain_type, "test") == 0)
    return g_strdup ("guests of libvirt's test driver cannot be forked");
  if (manifest->ready != USHER_TEMPLATE_READY_AGENT)
    return g_strdup_printf ("template %s/%" G_GINT64_FORMAT " counts as ready without its guest agent, which forking needs",
                            manifest->name, manifest->version);
  if (manifest->guest != USHER_TEMPLATE_GUEST_LINUX)
    return g_strdup_printf ("template %s/%" G_GINT64_FORMAT ": only Linux guests can be told who they are after a fork, this one is %s",
                            manifest->name, manifest->version, usher_template_guest_name (manifest->guest));
  if (manifest->firmware != USHER_TEMPLATE_FIRMWARE_BIOS)
    return g_strdup_printf ("template %s/%" G_GINT64_FORMAT " boots by UEFI, whose variables a fork would share with others",
                            manifest->name, manifest->version);
  if (vcpus < manifest->minimum_vcpus || ram_mib < manifest->minimum_ram_mib)
    return g_strdup_printf ("template %s/%" G_GINT64_FORMAT " needs %" G_GINT64_FORMAT " processors and %" G_GINT64_FORMAT " MiB at least",
                            manifest->name, manifest->version, manifest->minimum_vcpus, manifest->minimum_ram_mib);
  return NULL;
}
