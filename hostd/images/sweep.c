#include "hostd/images/sweep.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/error.h"
#include "common/log.h"
#include "hostd/images/evict.h"
#include "hostd/images/incoming.h"
#include "hostd/images/standing.h"
#include "templates/manifest.h"

/* ---- leftovers ---- */

/* "NAME/VERSION" of .incoming's NAME-VERSION; NULL for anything else. Owned by the caller. */
static char *
key_of_incoming (const char *entry)
{
  const char *dash = strrchr (entry, '-');
  gint64 version;
  if (dash == NULL || !g_ascii_string_to_signed (dash + 1, 10, 1, G_MAXINT64, &version, NULL))
    return NULL;
  g_autofree char *name = g_strndup (entry, (gsize) (dash - entry));
  return usher_version_key (name, version);
}

static void
remove_leftovers (const UsherSweepGround *sweep, GHashTable *wanted)
{
  g_autofree char *path = g_build_filename (usher_template_store_get_dir (sweep->ground->store), ".incoming", NULL);
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  for (const char *entry = dir != NULL ? g_dir_read_name (dir) : NULL; entry != NULL; entry = g_dir_read_name (dir))
    {
      g_autofree char *key = key_of_incoming (entry), *full = g_build_filename (path, entry, NULL);
      g_autoptr (GError) problem = NULL;
      if (key != NULL && (g_hash_table_contains (wanted, key) || usher_fetch_is_under_way (sweep->ground, key)))
        continue;
      if (!usher_incoming_discard (full, &problem))
        usher_log (USHER_LOG_WARNING, NULL, "images: %s", problem->message);
    }
}

/* ---- what is there ---- */

static gint64
bytes_in (const char *path)
{
  gint64 bytes = 0;
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  for (const char *name = dir != NULL ? g_dir_read_name (dir) : NULL; name != NULL; name = g_dir_read_name (dir))
    {
      struct stat found;
      g_autofree char *full = g_build_filename (path, name, NULL);
      if (lstat (full, &found) == 0)
        bytes += (gint64) found.st_blocks * 512;
    }
  return bytes;
}

static void
list_fetched_of (const char *store, const char *name, GPtrArray *into)
{
  g_autofree char *folder = g_build_filename (store, name, NULL);
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  for (const char *entry = dir != NULL ? g_dir_read_name (dir) : NULL; entry != NULL; entry = g_dir_read_name (dir))
    {
      gint64 version;
      struct stat found;
      g_autofree char *place = g_build_filename (folder, entry, NULL);
      g_autofree char *mark = g_build_filename (place, USHER_IMAGE_MARK, NULL);
      if (!g_ascii_string_to_signed (entry, 10, 1, G_MAXINT64, &version, NULL) || lstat (mark, &found) < 0)
        continue;
      UsherFetched *fetched = g_new0 (UsherFetched, 1);
      *fetched = (UsherFetched) { .name = g_strdup (name), .version = version, .bytes = bytes_in (place), .wanted_at = found.st_mtim.tv_sec };
      g_ptr_array_add (into, fetched);
    }
}

static GPtrArray *
list_fetched (const char *store)
{
  GPtrArray *all = g_ptr_array_new_with_free_func ((GDestroyNotify) usher_fetched_free);
  g_autoptr (GDir) dir = g_dir_open (store, 0, NULL);
  for (const char *name = dir != NULL ? g_dir_read_name (dir) : NULL; name != NULL; name = g_dir_read_name (dir))
    if (usher_template_name_is_valid (name))
      list_fetched_of (store, name, all);
  return all;
}

/* ---- what is used ---- */

/* Notes on the disk that the version is of use now. */
static void
touch_mark (const char *store, const UsherFetched *fetched)
{
  g_autofree char *place = usher_incoming_dup_place (store, fetched->name, fetched->version);
  g_autofree char *mark = g_build_filename (place, USHER_IMAGE_MARK, NULL);
  if (utimensat (AT_FDCWD, mark, NULL, AT_SYMLINK_NOFOLLOW) < 0)
    usher_log (USHER_LOG_WARNING, NULL, "images: %s: %s", mark, g_strerror (errno));
}

/* Marks what the broker wants; returns how many versions it does not. */
static guint
mark_wanted (GPtrArray *all, GHashTable *wanted)
{
  guint others = 0;
  for (guint i = 0; i < all->len; i++)
    {
      UsherFetched *one = all->pdata[i];
      g_autofree char *key = usher_version_key (one->name, one->version);
      one->in_use = g_hash_table_contains (wanted, key);
      others += one->in_use ? 0 : 1;
    }
  return others;
}

/* Marks what something stands on. FALSE when that could not be found out: then all of it may be in use. */
static gboolean
mark_stood_on (const UsherSweepGround *sweep, const char *store, GPtrArray *all)
{
  g_autoptr (GError) problem = NULL;
  g_autoptr (UsherStanding) standing = usher_standing_look (sweep->state_dir, &problem);
  if (standing == NULL)
    {
      usher_log (USHER_LOG_INFO, NULL, "images: no version is removed: %s", problem->message);
      return FALSE;
    }
  for (guint i = 0; i < all->len; i++)
    {
      UsherFetched *one = all->pdata[i];
      g_autofree char *place = usher_incoming_dup_place (store, one->name, one->version);
      one->in_use = one->in_use || usher_standing_has (standing, one->name, one->version, place);
    }
  return TRUE;
}

/* ---- removing ---- */

static void
take_away (const char *store, const UsherFetched *fetched)
{
  g_autoptr (GError) problem = NULL;
  if (usher_incoming_take_away (store, fetched->name, fetched->version, &problem))
    usher_log (USHER_LOG_NOTICE, NULL, "template %s/%" G_GINT64_FORMAT " was removed from this host: nothing here uses it", fetched->name,
               fetched->version);
  else
    usher_log (USHER_LOG_WARNING, NULL, "images: %s", problem->message);
}

/* A clone may have been made since one looked: who opens a version from now on waits, who has it open keeps it, and then
 * one looks once more. */
static void
remove_those_that_go (const UsherSweepGround *sweep, const char *store, GPtrArray *all)
{
  UsherTemplateStore *templates = sweep->ground->store;
  for (guint i = 0; i < all->len; i++)
    {
      UsherFetched *one = all->pdata[i];
      one->goes = one->goes && usher_template_store_lock_out (templates, one->name, one->version);
    }
  gboolean known = mark_stood_on (sweep, store, all);
  for (guint i = 0; i < all->len; i++)
    {
      const UsherFetched *one = all->pdata[i];
      if (!one->goes)
        continue;
      if (known && !one->in_use)
        take_away (store, one);
      usher_template_store_let_in (templates, one->name, one->version);
    }
}

static gboolean
any_goes (const GPtrArray *all)
{
  for (guint i = 0; i < all->len; i++)
    if (((const UsherFetched *) all->pdata[i])->goes)
      return TRUE;
  return FALSE;
}

void
usher_sweep (const UsherSweepGround *sweep, GHashTable *wanted, gint64 short_bytes)
{
  const char *store = usher_template_store_get_dir (sweep->ground->store);
  g_autoptr (GPtrArray) all = list_fetched (store);
  remove_leftovers (sweep, wanted);
  if (mark_wanted (all, wanted) > 0 && !mark_stood_on (sweep, store, all))
    return;
  for (guint i = 0; i < all->len; i++)
    if (((const UsherFetched *) all->pdata[i])->in_use)
      touch_mark (store, all->pdata[i]);
  usher_evict_decide (all, g_get_real_time () / G_USEC_PER_SEC, sweep->keep_s, short_bytes);
  if (any_goes (all))
    remove_those_that_go (sweep, store, all);
}
