#include "policies/placement.h"

#include <string.h>

#define RESERVE_SHARE 20 /* one part in so many of the memory */
#define RESERVE_MIN_MIB 256
#define DISK_RESERVE_MIB 2048
#define DISK_EACH_MIB 1024 /* what a young overlay may take */
#define SPREAD 50

/* What a parent at hand is worth for an instant clone. */
static const gint64 parent_worth[] = {
  [USHER_PLACEMENT_PARENT_NONE] = 0,
  [USHER_PLACEMENT_PARENT_BUILDING] = 100,
  [USHER_PLACEMENT_PARENT_READY] = 300,
  [USHER_PLACEMENT_PARENT_UNABLE] = 0,
};
#define D G_GINT64_FORMAT

/* What of the free memory is given away already. */
static gint64
promised (const UsherPlacementWish *wish, const UsherPlacementHost *host)
{
  gboolean to_build = wish->instant && host->parent == USHER_PLACEMENT_PARENT_NONE;
  return host->pending_ram_mib + host->parents_mib + (to_build ? wish->ram_mib : 0);
}

static gint64
memory_left (const UsherPlacementWish *wish, const UsherPlacementHost *host)
{
  gint64 reserve = MAX (host->memory_mib / RESERVE_SHARE, RESERVE_MIN_MIB);
  return host->memory_free_mib - promised (wish, host) - reserve - wish->ram_mib;
}

static gint64
disk_left (const UsherPlacementHost *host)
{
  return host->disk_free_mib - DISK_RESERVE_MIB - (host->pending + 1) * DISK_EACH_MIB;
}

/* ---- the filters: each gives the reason why not, or NULL ---- */

static UsherReason *
not_joined (const UsherPlacementWish *wish, const UsherPlacementHost *host)
{
  (void) wish;
  return host->silent_s >= 0 ? NULL : usher_reason_new ("joined", "host %s has never reported", host->name);
}

static UsherReason *
silent (const UsherPlacementWish *wish, const UsherPlacementHost *host)
{
  (void) wish;
  return host->silent_s <= USHER_PLACEMENT_SILENT_S
             ? NULL
             : usher_reason_new ("silent", "host %s has not reported for more than %d s: its state is unknown",
                                 host->name, USHER_PLACEMENT_SILENT_S);
}

static UsherReason *
draining (const UsherPlacementWish *wish, const UsherPlacementHost *host)
{
  (void) wish;
  return host->active ? NULL : usher_reason_new ("mode", "host %s drains", host->name);
}

static UsherReason *
no_template (const UsherPlacementWish *wish, const UsherPlacementHost *host)
{
  gboolean stuck = host->fetch_problem != NULL && host->fetch_problem[0] != '\0';
  if (host->has_template)
    return NULL;
  if (!host->fetching)
    return usher_reason_new ("template", "host %s does not have template %s", host->name, wish->template_label);
  return usher_reason_new (stuck ? "template" : USHER_PLACEMENT_COMING,
                           "template %s on its way to host %s, %" D " %%%s%s", wish->template_label, host->name,
                           CLAMP (host->fetched, 0, 100), stuck ? ": " : "", stuck ? host->fetch_problem : "");
}

static UsherReason *
few_cpus (const UsherPlacementWish *wish, const UsherPlacementHost *host)
{
  return wish->vcpus <= host->cpus ? NULL
                                   : usher_reason_new ("cpus", "host %s has %" D " CPUs, the desktop wants %" D,
                                                       host->name, host->cpus, wish->vcpus);
}

static UsherReason *
little_memory (const UsherPlacementWish *wish, const UsherPlacementHost *host)
{
  gint64 left = memory_left (wish, host);
  return left >= 0 ? NULL
                   : usher_reason_new ("memory",
                                       "host %s has %" D " MiB free, %" D " MiB of it promised: %" D
                                       " MiB short of the %" D " MiB the desktop wants and the reserve",
                                       host->name, host->memory_free_mib, promised (wish, host), -left, wish->ram_mib);
}

static UsherReason *
little_disk (const UsherPlacementWish *wish, const UsherPlacementHost *host)
{
  (void) wish;
  return disk_left (host) >= 0 ? NULL
                               : usher_reason_new ("disk", "host %s has %" D " MiB of disk free: %" D " MiB short",
                                                   host->name, host->disk_free_mib, -disk_left (host));
}

static UsherReason *(*const filters[]) (const UsherPlacementWish *, const UsherPlacementHost *) = {
  not_joined, silent, draining, no_template, few_cpus, little_memory, little_disk,
};

static UsherReason *
why_not (const UsherPlacementWish *wish, const UsherPlacementHost *host)
{
  UsherReason *reason = NULL;
  for (gsize i = 0; i < G_N_ELEMENTS (filters) && reason == NULL; i++)
    reason = filters[i](wish, host);
  return reason;
}

static gint64
score (const UsherPlacementWish *wish, const UsherPlacementHost *host)
{
  return memory_left (wish, host) * 1000 / MAX (host->memory_mib, 1) - SPREAD * host->of_pool
         + (wish->instant ? parent_worth[host->parent] : 0);
}

static gboolean
is_better (const UsherPlacementWish *wish, const UsherPlacementHost *a, const UsherPlacementHost *b)
{
  gint64 of_a = score (wish, a), of_b = score (wish, b);
  return of_a != of_b ? of_a > of_b : strcmp (a->name, b->name) < 0;
}

gssize
usher_placement_choose (const UsherPlacementWish *wish, const UsherPlacementHost *hosts, gsize n_hosts,
                        GPtrArray *out_reasons)
{
  gssize best = -1;
  if (n_hosts == 0)
    g_ptr_array_add (out_reasons, usher_reason_new ("hosts", "there is no host yet"));
  for (gsize i = 0; i < n_hosts; i++)
    {
      UsherReason *reason = why_not (wish, &hosts[i]);
      if (reason != NULL)
        g_ptr_array_add (out_reasons, reason);
      else if (best < 0 || is_better (wish, &hosts[i], &hosts[best]))
        best = (gssize) i;
    }
  return best;
}
