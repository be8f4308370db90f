#include "broker/images/limits.h"

#define MIB (G_GINT64_CONSTANT (1) << 20)

static gint64
number (const UsherSettings *settings, const char *key)
{
  return usher_settings_get_int (settings, "templates", key);
}

UsherImages *
usher_images_new (const UsherSettings *settings)
{
  UsherImages *images = g_new0 (UsherImages, 1);
  images->dir = g_strdup (usher_settings_get_string (settings, "templates", "dir"));
  images->upload_max = number (settings, "max_upload_mib") * MIB;
  images->disk_max = number (settings, "max_disk_gib") * 1024 * MIB;
  images->reserve = number (settings, "reserve_mib") * MIB;
  images->idle_s = number (settings, "upload_idle_s");
  images->uploads = (guint) number (settings, "max_uploads");
  images->ending = g_cancellable_new ();
  return images;
}

void
usher_images_free (UsherImages *images)
{
  if (images == NULL)
    return;
  g_free (images->dir);
  g_clear_object (&images->ending);
  g_free (images);
}
