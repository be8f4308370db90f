/* Which fetched versions go. Pure. */
#pragma once
#include <glib.h>

/* A version in the host's own store that was fetched: others are nobody's business. */
typedef struct {
  char *name;
  gint64 version;
  gint64 bytes;     /* on disk */
  gint64 wanted_at; /* Unix seconds when the broker last wanted it, or something last stood on it */
  gboolean in_use;  /* the broker wants it, or a desktop or parent stands on it */
  gboolean goes;    /* the decision */
} UsherFetched;

void usher_fetched_free (UsherFetched *fetched);

/* Decides for each of `all` (UsherFetched; sorted afterwards, the least recently wanted first): what is not in use goes
 * when it was not for `keep_s`, and sooner, the least recently wanted first, until `short_bytes` come free. */
void usher_evict_decide (GPtrArray *all, gint64 now_s, gint64 keep_s, gint64 short_bytes);
