#include "policies/eta.h"

#include <stdlib.h>
#include <string.h>

static int
by_value (const void *a, const void *b)
{
  gint64 x = *(const gint64 *) a, y = *(const gint64 *) b;
  return (x > y) - (x < y);
}

/* `unknown_s` without any. */
static gint64
median (const gint64 *times_s, gsize n, gint64 unknown_s)
{
  gint64 sorted[USHER_ETA_TIMES_MAX];
  n = MIN (n, USHER_ETA_TIMES_MAX);
  if (n == 0)
    return unknown_s;
  memcpy (sorted, times_s, n * sizeof *sorted);
  qsort (sorted, n, sizeof *sorted, by_value);
  return CLAMP (sorted[n / 2], 1, 3600);
}

static gint64
left_of (gint64 whole_s, gint64 elapsed_s)
{
  gint64 left = whole_s - MAX (elapsed_s, 0);
  return left >= 1 ? left : MAX (whole_s / 5, 1);
}

static guint
rounded (gint64 left_s)
{
  return left_s <= 10 ? left_s : (left_s + 4) / 5 * 5;
}

guint
usher_eta_estimate (const gint64 *times_s, gsize n, gint64 elapsed_s)
{
  return rounded (left_of (median (times_s, n, USHER_ETA_UNKNOWN_S), elapsed_s));
}

guint
usher_eta_of (const UsherEtaWish *wish)
{
  gint64 cold = median (wish->linked_s, wish->n_linked, USHER_ETA_UNKNOWN_S);
  gint64 fork = median (wish->instant_s, wish->n_instant, USHER_ETA_UNKNOWN_INSTANT_S);
  gint64 building = wish->parent_took_s > 0 ? MIN (wish->parent_took_s, 3600) : cold;
  switch (wish->parent)
    {
    case USHER_ETA_PARENT_TO_COME:
      return rounded (building + fork);
    case USHER_ETA_PARENT_BUILDING:
      return rounded (left_of (building, wish->parent_elapsed_s) + fork);
    case USHER_ETA_PARENT_READY:
      return rounded (left_of (fork, wish->elapsed_s));
    default:
      return rounded (left_of (cold, wish->elapsed_s));
    }
}
