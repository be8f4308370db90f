#include "hostd/images/evict.h"

#include <string.h>

void
usher_fetched_free (UsherFetched *fetched)
{
  g_free (fetched->name);
  g_free (fetched);
}

static gint
by_last_wanted (gconstpointer a, gconstpointer b)
{
  const UsherFetched *one = *(const UsherFetched *const *) a, *other = *(const UsherFetched *const *) b;
  if (one->wanted_at != other->wanted_at)
    return one->wanted_at < other->wanted_at ? -1 : 1;
  int names = strcmp (one->name, other->name);
  return names != 0 ? names : (one->version > other->version) - (one->version < other->version);
}

void
usher_evict_decide (GPtrArray *all, gint64 now_s, gint64 keep_s, gint64 short_bytes)
{
  g_ptr_array_sort (all, by_last_wanted);
  for (guint i = 0; i < all->len; i++)
    {
      UsherFetched *one = all->pdata[i];
      /* A clock that was set back makes none too old. */
      one->goes = !one->in_use && (short_bytes > 0 || now_s - one->wanted_at >= keep_s);
      if (one->goes)
        short_bytes -= MIN (one->bytes, short_bytes);
    }
}
