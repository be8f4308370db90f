#include "policies/eta.h"

#include <stdlib.h>
#include <string.h>

static int
by_value (const void *a, const void *b)
{
  gint64 x = *(const gint64 *) a, y = *(const gint64 *) b;
  return (x > y) - (x < y);
}

static gint64
median (const gint64 *times_s, gsize n)
{
  gint64 sorted[USHER_ETA_TIMES_MAX];
  n = MIN (n, USHER_ETA_TIMES_MAX);
  if (n == 0)
    return USHER_ETA_UNKNOWN_S;
  memcpy (sorted, times_s, n * sizeof *sorted);
  qsort (sorted, n, sizeof *sorted, by_value);
  return sorted[n / 2];
}

guint
usher_eta_estimate (const gint64 *times_s, gsize n, gint64 elapsed_s)
{
  gint64 whole = CLAMP (median (times_s, n), 1, 3600);
  gint64 left = whole - MAX (elapsed_s, 0);
  if (left < 1)
    left = MAX (whole / 5, 1);
  return left <= 10 ? left : (left + 4) / 5 * 5;
}
