/* Which frozen disks are still needed: those of frozen parents, and those that an overlay of some desktop stands on.
 * The overlays themselves say so, hence no count can be wrong after a crash. */
#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fault.h"
#include "common/log.h"
#include "hostd/clone/parents_private.h"
#include "hostd/storage/overlay.h"

#define ENDING ".qcow2"

/* Calls `func` for each entry of `dir`; a directory that is not there has none. */
static gboolean
each_entry (const char *dir, gboolean (*func) (const char *entry, gpointer user_data, GError **error), gpointer user_data,
            GError **error)
{
  g_autoptr (GError) problem = NULL;
  g_autoptr (GDir) opened = g_dir_open (dir, 0, &problem);
  if (opened == NULL && g_error_matches (problem, G_FILE_ERROR, G_FILE_ERROR_NOENT))
    return TRUE;
  if (opened == NULL)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "%s: %s", dir, problem->message);
      return FALSE;
    }
  for (const char *entry = g_dir_read_name (opened); entry != NULL; entry = g_dir_read_name (opened))
    if (!func (entry, user_data, error))
      return FALSE;
  return TRUE;
}

typedef struct {
  UsherParents *parents;
  GPtrArray *bases;        /* paths of all there are */
  GHashTable *needed;      /* paths of disks */
  GHashTable *generations; /* of frozen parents */
} Collection;

/* What a frozen parent stands on. One whose record can't be read may stand on any. */
static gboolean
add_parent (const char *entry, gpointer user_data, GError **error)
{
  Collection *collection = user_data;
  g_autoptr (GError) problem = NULL;
  UsherParentRecord record = { 0 };
  if (usher_parent_record_read (collection->parents, entry, &record, &problem))
    {
      g_hash_table_add (collection->needed, usher_parents_dup_base (collection->parents, record.generation));
      g_hash_table_add (collection->generations, g_strdup (record.generation));
      usher_parent_record_clear (&record);
      return TRUE;
    }
  if (g_error_matches (problem, USHER_ERROR, USHER_ERROR_MISSING))
    return TRUE; /* half built: it stands on no frozen disk */
  g_propagate_error (error, g_steal_pointer (&problem));
  return FALSE;
}

/* What the overlays of a desktop stand on: those in use, and those just being made. */
static gboolean
add_overlay (const char *entry, gpointer user_data, GError **error)
{
  Collection *collection = user_data;
  g_autoptr (GError) problem = NULL;
  char *base = NULL;
  if (strstr (entry, ENDING) == NULL)
    return TRUE;
  if (usher_overlay_read_base (entry, &base, &problem))
    {
      if (base != NULL)
        g_hash_table_add (collection->needed, base);
      return TRUE;
    }
  if (g_error_matches (problem, USHER_ERROR, USHER_ERROR_MISSING))
    return TRUE; /* it went meanwhile */
  g_propagate_error (error, g_steal_pointer (&problem));
  return FALSE;
}

typedef struct {
  const char *dir;
  Collection *collection;
} Desktop;

static gboolean
add_file (const char *entry, gpointer user_data, GError **error)
{
  const Desktop *desktop = user_data;
  g_autofree char *path = g_build_filename (desktop->dir, entry, NULL);
  return add_overlay (path, desktop->collection, error);
}

static gboolean
add_desktop (const char *entry, gpointer user_data, GError **error)
{
  Collection *collection = user_data;
  g_autofree char *dir = g_build_filename (collection->parents->desktops, entry, NULL);
  Desktop desktop = { dir, collection };
  return !g_file_test (dir, G_FILE_TEST_IS_DIR) || each_entry (dir, add_file, &desktop, error);
}

/* Disks that a parent known here stands on, or is about to: it has no record yet while it is being frozen. */
static void
add_known (Collection *collection)
{
  GHashTableIter iter;
  gpointer value;
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&collection->parents->lock);
  g_hash_table_iter_init (&iter, collection->parents->known);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      const UsherParent *parent = value;
      if (parent->base != NULL)
        g_hash_table_add (collection->needed, g_strdup (parent->base));
      if (parent->generation != NULL)
        g_hash_table_add (collection->generations, g_strdup (parent->generation));
    }
}

static gboolean
add_base (const char *entry, gpointer user_data, GError **error)
{
  Collection *collection = user_data;
  g_ptr_array_add (collection->bases, g_build_filename (collection->parents->bases, entry, NULL));
  return TRUE;
}

static gboolean
remove_unneeded (const Collection *collection, GError **error)
{
  for (guint i = 0; i < collection->bases->len; i++)
    {
      const char *path = collection->bases->pdata[i];
      if (g_hash_table_contains (collection->needed, path))
        continue;
      if (unlink (path) < 0 && errno != ENOENT)
        return usher_parent_failed (error, path);
      usher_log (USHER_LOG_INFO, NULL, "nothing stands on %s any more: removed", path);
    }
  return TRUE;
}

/* RAM of parents that are no more, kept by systemd. */
static void
drop_unneeded (const Collection *collection)
{
  g_auto (GStrv) names = usher_fd_store_list (collection->parents->store);
  for (gsize i = 0; names[i] != NULL; i++)
    if (usher_id_is_valid (names[i]) && !g_hash_table_contains (collection->generations, names[i]))
      usher_fd_store_drop (collection->parents->store, names[i]);
}

gboolean
usher_parents_collect (UsherParents *parents, GError **error)
{
  g_autoptr (GPtrArray) bases = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GHashTable) needed = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (GHashTable) generations = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  Collection collection = { parents, bases, needed, generations };
  /* In this order: a disk is known to its parent before it gets there, and an overlay is there before its parent may
   * be retired. */
  if (!each_entry (parents->bases, add_base, &collection, error))
    return FALSE;
  add_known (&collection);
  if (!each_entry (parents->dir, add_parent, &collection, error) || !each_entry (parents->desktops, add_desktop, &collection, error)
      || !remove_unneeded (&collection, error))
    return FALSE;
  drop_unneeded (&collection);
  return TRUE;
}
