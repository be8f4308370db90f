#include "broker/images/sweep.h"
#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <glib/gstdio.h>
#include "broker/images/folder.h"
#include "broker/images/intake.h"
#include "broker/images/upload.h"
#include "broker/store/uploads.h"
#include "broker/store/versions.h"
#include "common/error.h"
#include "common/fault.h"
#include "common/id.h"
#include "common/log.h"

/* One that was placed already goes back first: then its number is free, and the rest is as for any other. */
static gboolean
drop_upload (const UsherImages *images, UsherStore *store, const UsherActor *actor, const UsherUpload *upload, const char *why,
             GError **error)
{
  if (usher_images_is_placed (images, upload)) {
    g_autofree char *from = usher_folder_version (images, upload->template, upload->version, NULL);
    g_autofree char *to = usher_folder_upload (images, upload->id, NULL);
    if (!usher_folder_move (from, to, error))
      return FALSE;
  }
  USHER_FAULT_POINT ("images.sweep-upload");
  return usher_store_upload_drop (store, actor, upload->id, why, error) && usher_upload_remove (images, upload->id, error);
}

gboolean
usher_images_drop (const UsherImages *images, UsherStore *store, const UsherActor *actor, const char *id, const char *why,
                   GError **error)
{
  int lock = usher_folder_lock (images, id, TRUE, error);
  if (lock < 0)
    return FALSE;
  g_autoptr (UsherUpload) upload = usher_store_upload_peek (store, id, error);
  gboolean good = upload != NULL && drop_upload (images, store, actor, upload, why, error);
  close (lock);
  return good;
}

/* One that somebody works on right now is not idle, whatever its record says. */
static gboolean
drop_idle (const UsherImages *images, UsherStore *store, const char *id, GError **error)
{
  static const UsherActor broker = { .name = "broker" };
  g_autoptr (GError) local = NULL;
  if (usher_images_drop (images, store, &broker, id, "nobody went on with it: it was removed", &local)
      || g_error_matches (local, USHER_ERROR, USHER_ERROR_BUSY) || g_error_matches (local, USHER_ERROR, USHER_ERROR_MISSING))
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&local));
  return FALSE;
}

static gboolean
sweep_idle (const UsherImages *images, UsherStore *store, GError **error)
{
  g_auto (GStrv) idle = usher_store_upload_list_idle (store, images->idle_s, error);
  for (guint i = 0; idle != NULL && idle[i] != NULL; i++)
    if (!drop_idle (images, store, idle[i], error))
      return FALSE;
  return idle != NULL;
}

/* Records are made before folders, so a folder (or a lock) without one is nobody's. */
static gboolean
sweep_strays (const UsherImages *images, UsherStore *store, GError **error)
{
  g_autofree char *path = g_build_filename (images->dir, ".uploads", NULL);
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;
  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *id = g_strndup (name, USHER_ID_SIZE - 1);
    gboolean exists = FALSE;
    if (!usher_id_is_valid (id))
      continue;
    if (!usher_store_upload_exists (store, id, &exists, error) || (!exists && !usher_upload_remove (images, id, error)))
      return FALSE;
  }
  return TRUE;
}

static gboolean
empty_trash (const UsherImages *images, GError **error)
{
  g_autofree char *path = g_build_filename (images->dir, ".trash", NULL);
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;
  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *one = g_build_filename (path, name, NULL);
    if (!usher_folder_remove (one, error))
      return FALSE;
  }
  return TRUE;
}

/* Out of its place by one rename, so that nobody sees half of it; then nobody is told of it; then it goes. */
static gboolean
empty_version (const UsherImages *images, UsherStore *store, const char *template, gint64 version, GError **error)
{
  g_autofree char *from = usher_folder_version (images, template, version, NULL), *id = usher_id_new ();
  g_autofree char *to = g_build_filename (images->dir, ".trash", id, NULL);
  if (g_file_test (from, G_FILE_TEST_EXISTS) && !usher_folder_move (from, to, error))
    return FALSE;
  USHER_FAULT_POINT ("images.sweep-version");
  usher_log (USHER_LOG_NOTICE, NULL, "the files of %s/%" G_GINT64_FORMAT " are removed: it is retired and nobody uses it", template, version);
  return usher_store_version_emptied (store, template, version, error);
}

static gboolean
sweep_versions (const UsherImages *images, UsherStore *store, GError **error)
{
  for (;;) {
    g_autofree char *template = NULL;
    gint64 version = 0;
    if (!usher_store_version_unneeded (store, &template, &version, error))
      return FALSE;
    if (template == NULL)
      return empty_trash (images, error);
    if (!empty_version (images, store, template, version, error))
      return FALSE;
  }
}

gboolean
usher_images_sweep (const UsherImages *images, UsherStore *store, GError **error)
{
  static gboolean (*const steps[]) (const UsherImages *, UsherStore *, GError **) = { sweep_idle, sweep_strays, sweep_versions };
  GError *first = NULL;
  for (gsize i = 0; i < G_N_ELEMENTS (steps); i++) {
    g_autoptr (GError) local = NULL;
    if (!steps[i] (images, store, &local) && first == NULL)
      first = g_steal_pointer (&local);
  }
  if (first != NULL)
    g_propagate_error (error, first);
  return first == NULL;
}
