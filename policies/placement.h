/* Which host a desktop is made on, and why not on the others. */
#pragma once
#include "policies/reason.h"

#define USHER_PLACEMENT_SILENT_S 30 /* a host not heard of for longer gets nothing new */
#define USHER_PLACEMENT_COMING "fetch" /* the one rule that waiting alone mends: the template is on its way */

/* What a host says of the parent that the wished desktop would be forked from. */
typedef enum {
  USHER_PLACEMENT_PARENT_NONE,     /* nothing: it is still to be built */
  USHER_PLACEMENT_PARENT_BUILDING, /* or to be tried again */
  USHER_PLACEMENT_PARENT_READY,
  USHER_PLACEMENT_PARENT_UNABLE, /* it would be a linked clone there */
} UsherPlacementParent;

/* What is known of a host. Borrowed strings. */
typedef struct {
  const char *id, *name;
  gboolean active;       /* its mode; else it drains */
  gint64 silent_s;       /* since it last said something; -1: it never joined */
  gboolean has_template; /* the wished template version is usable there */
  gboolean fetching;     /* it is on its way there: */
  gint64 fetched;        /* so many hundredths of it have come */
  const char *fetch_problem; /* why it does not come just now; NULL or "" while it comes */
  gint64 cpus;
  gint64 memory_mib, memory_free_mib, disk_free_mib; /* as it said last */
  gint64 pending;                                    /* desktops placed there that its figures don't know of yet: */
  gint64 pending_ram_mib;                            /* the memory of those */
  gint64 of_pool;                                    /* desktops of the same pool there */
  UsherPlacementParent parent;                       /* of the wish; looked at for an instant clone */
  gint64 parents_mib; /* memory of parents that are being built there, which memory_free_mib does not know of in full */
} UsherPlacementHost;

typedef struct {
  const char *template_label; /* "NAME/VERSION" */
  gint64 vcpus, ram_mib;
  gboolean instant; /* an instant clone is wanted: its parent takes as much memory once more, where there is none yet */
} UsherPlacementWish;

/* The index of the best host that all filters let through, or -1. For every host that was not let through a reason is
 * added to `out_reasons` (of UsherReason), and one when there are no hosts at all. Rules: "hosts", "joined", "silent",
 * "mode", "template", "fetch", "cpus", "memory", "disk".
 *
 * Kept free on each host: 5 % of its memory, at least 256 MiB; of the disk 2 GiB and 1 GiB for each pending desktop.
 * Score: share of memory left free after it, in thousandths, less 50 for each desktop of the same pool there, and for an instant
 * clone 300 more where its parent is ready, 100 where it is being built;
 * equal scores go by name, so that every broker chooses alike. */
gssize usher_placement_choose (const UsherPlacementWish *wish, const UsherPlacementHost *hosts, gsize n_hosts,
                               GPtrArray *out_reasons);
