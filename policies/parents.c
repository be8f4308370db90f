#include "policies/parents.h"

#include <stdlib.h>
#include <string.h>

static int
order (gint64 a, gint64 b)
{
  return (a > b) - (a < b);
}

static int
by_worth (const void *one, const void *other)
{
  const UsherParentCandidate *a = one, *b = other;
  const int orders[] = {
    order (b->making, a->making),
    order (b->wanted, a->wanted),
    strcmp (a->template_name, b->template_name),
    order (b->template_version, a->template_version), /* the newer one first */
    order (a->ram_mib, b->ram_mib),
    order (a->vcpus, b->vcpus),
  };
  for (gsize i = 0; i < G_N_ELEMENTS (orders); i++)
    if (orders[i] != 0)
      return orders[i];
  return 0;
}

gsize
usher_parents_choose (gint64 memory_mib, UsherParentCandidate *candidates, gsize n)
{
  gint64 left_mib = memory_mib / USHER_PARENTS_SHARE;
  gsize kept = 0;
  if (n > 1)
    qsort (candidates, n, sizeof *candidates, by_worth);
  for (gsize i = 0; i < n; i++)
    if (candidates[i].ram_mib <= left_mib)
      {
        UsherParentCandidate candidate = candidates[i];
        left_mib -= candidate.ram_mib;
        memmove (candidates + kept + 1, candidates + kept, (i - kept) * sizeof candidate);
        candidates[kept++] = candidate;
      }
  return kept;
}
