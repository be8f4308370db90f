#include "hostd/storage/console_file.h"

#include <errno.h>
#include <glib/gstdio.h>

#include "common/error.h"
#include "common/id.h"
#include "common/json.h"

gboolean
usher_console_file_set (const char *dir, const char *id, int spice_port, GError **error)
{
  g_autofree char *path = g_build_filename (dir, id, NULL);
  if (spice_port == 0)
    {
      if (g_unlink (path) == 0 || errno == ENOENT)
        return TRUE;
      g_set_error (error, USHER_ERROR, USHER_ERROR_INTERNAL, "%s: %s", path, g_strerror (errno));
      return FALSE;
    }
  json_auto_t *before = usher_json_read_file (path, NULL);
  json_auto_t *now = json_pack ("{s:{s:s, s:i}}", "spice", "host", "127.0.0.1", "port", spice_port);
  return json_equal (before, now) || usher_json_write_file (path, now, 0644, error);
}

char **
usher_console_files_list (const char *dir, GError **error)
{
  g_autoptr (GError) problem = NULL;
  g_autoptr (GStrvBuilder) ids = g_strv_builder_new ();
  g_mkdir_with_parents (dir, 0755);
  g_autoptr (GDir) open = g_dir_open (dir, 0, &problem);
  if (open == NULL)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "%s: %s", dir, problem->message);
      return NULL;
    }
  for (const char *entry = g_dir_read_name (open); entry != NULL; entry = g_dir_read_name (open))
    if (usher_id_is_valid (entry))
      g_strv_builder_add (ids, entry);
  return g_strv_builder_end (ids);
}
