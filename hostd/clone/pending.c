#include "hostd/clone/pending.h"

#include <unistd.h>

#include "common/secret.h"

struct _UsherPending {
  GHashTable *starts; /* id → Start */
};

typedef struct {
  UsherSecret *ticket;
  int fd;
  gint64 until_ms;
} Start;

static void
start_free (gpointer data)
{
  Start *start = data;
  if (start->fd >= 0)
    close (start->fd);
  usher_secret_free (start->ticket);
  g_free (start);
}

UsherPending *
usher_pending_new (void)
{
  UsherPending *pending = g_new0 (UsherPending, 1);
  pending->starts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, start_free);
  return pending;
}

void
usher_pending_free (UsherPending *pending)
{
  g_hash_table_unref (pending->starts);
  g_free (pending);
}

void
usher_pending_add (UsherPending *pending, const char *id, const char *ticket, int fd, gint64 until_ms)
{
  Start *start = g_new0 (Start, 1);
  *start = (Start) { .ticket = usher_secret_new_string (ticket), .fd = fd, .until_ms = until_ms };
  g_hash_table_replace (pending->starts, g_strdup (id), start);
}

int
usher_pending_take (UsherPending *pending, const char *id, const char *ticket, gint64 now_ms, const char **out_why)
{
  Start *start = g_hash_table_lookup (pending->starts, id);
  g_autoptr (UsherSecret) shown = usher_secret_new_string (ticket);
  if (start == NULL)
    {
      *out_why = "no start of this domain was announced";
      return -1;
    }
  if (!usher_secret_equal (start->ticket, shown))
    {
      *out_why = "the ticket is not that of the announced start";
      return -1;
    }
  int fd = -1;
  if (now_ms < start->until_ms)
    fd = g_steal_fd (&start->fd);
  else
    *out_why = "the announced start is too long ago";
  g_hash_table_remove (pending->starts, id);
  return fd;
}

void
usher_pending_remove (UsherPending *pending, const char *id)
{
  g_hash_table_remove (pending->starts, id);
}
