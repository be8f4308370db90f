#include "broker/auth/group_memory.h"

#include <string.h>

#define SETS_MAX 1000 /* beyond it all are forgotten: rather asked once more than swept one by one */

struct _UsherGroupMemory {
  gint64 keep_us;
  GHashTable *sets; /* key → Found */
};

typedef struct {
  GHashTable *groups;
  gint64 until_us;
} Found;

static void
found_free (gpointer data)
{
  Found *found = data;
  g_hash_table_unref (found->groups);
  g_free (found);
}

UsherGroupMemory *
usher_group_memory_new (gint64 keep_us)
{
  UsherGroupMemory *memory = g_new0 (UsherGroupMemory, 1);
  memory->keep_us = keep_us;
  memory->sets = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, found_free);
  return memory;
}

char *
usher_group_memory_key (GHashTable *groups)
{
  g_autoptr (GString) key = g_string_new (NULL);
  g_autoptr (GList) dns = g_list_sort (g_hash_table_get_keys (groups), (GCompareFunc) g_strcmp0);
  for (const GList *one = dns; one != NULL; one = one->next)
    g_string_append_printf (key, "%" G_GSIZE_FORMAT ":%s", strlen (one->data), (const char *) one->data);
  return g_string_free (g_steal_pointer (&key), FALSE);
}

GHashTable *
usher_group_memory_get (UsherGroupMemory *memory, const char *key, gint64 now_us)
{
  Found *found = g_hash_table_lookup (memory->sets, key);
  return found != NULL && now_us < found->until_us ? g_hash_table_ref (found->groups) : NULL;
}

void
usher_group_memory_put (UsherGroupMemory *memory, const char *key, GHashTable *groups, gint64 now_us)
{
  Found *found = g_new (Found, 1);
  *found = (Found){ g_hash_table_ref (groups), now_us + memory->keep_us };
  if (g_hash_table_size (memory->sets) >= SETS_MAX)
    g_hash_table_remove_all (memory->sets);
  g_hash_table_replace (memory->sets, g_strdup (key), found);
}

void
usher_group_memory_free (UsherGroupMemory *memory)
{
  g_hash_table_unref (memory->sets);
  g_free (memory);
}
