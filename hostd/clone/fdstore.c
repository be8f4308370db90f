#include "hostd/clone/fdstore.h"

#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "common/log.h"

struct _UsherFdStore {
  GMutex lock;
  GHashTable *came; /* name → descriptor */
};

static void
close_pointer (gpointer data)
{
  close (GPOINTER_TO_INT (data));
}

UsherFdStore *
usher_fd_store_new (void)
{
  char **names = NULL;
  UsherFdStore *store = g_new0 (UsherFdStore, 1);
  g_mutex_init (&store->lock);
  store->came = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, close_pointer);
  int count = sd_listen_fds_with_names (1, &names);
  for (int i = 0; i < count; i++)
    {
      g_hash_table_replace (store->came, g_strdup (names[i]), GINT_TO_POINTER (SD_LISTEN_FDS_START + i));
      free (names[i]);
    }
  free (names);
  return store;
}

void
usher_fd_store_free (UsherFdStore *store)
{
  g_hash_table_unref (store->came);
  g_mutex_clear (&store->lock);
  g_free (store);
}

int
usher_fd_store_take (UsherFdStore *store, const char *name)
{
  gpointer key, value;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&store->lock);
  if (!g_hash_table_steal_extended (store->came, name, &key, &value))
    return -1;
  g_free (key);
  return GPOINTER_TO_INT (value);
}

static void
tell (const char *name, const char *what, const int *fds, guint count)
{
  g_autofree char *message = g_strdup_printf ("%s=1\nFDNAME=%s", what, name);
  int said = sd_pid_notify_with_fds (0, 0, message, fds, count);
  if (said < 0)
    usher_log (USHER_LOG_WARNING, NULL, "systemd's fd store: %s %s: %s", what, name, g_strerror (-said));
}

void
usher_fd_store_put (UsherFdStore *store, const char *name, int fd)
{
  tell (name, "FDSTOREREMOVE", NULL, 0);
  tell (name, "FDSTORE", &fd, 1);
}

void
usher_fd_store_drop (UsherFdStore *store, const char *name)
{
  g_mutex_lock (&store->lock);
  g_hash_table_remove (store->came, name);
  g_mutex_unlock (&store->lock);
  tell (name, "FDSTOREREMOVE", NULL, 0);
}

char **
usher_fd_store_list (UsherFdStore *store)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&store->lock);
  g_autofree gpointer *names = g_hash_table_get_keys_as_array (store->came, NULL);
  return g_strdupv ((char **) names);
}
