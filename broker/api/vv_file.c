#include "broker/api/vv_file.h"

char *
usher_viewer_file_write (const UsherViewerFile *file)
{
  static const char group[] = "virt-viewer";
  g_autoptr (GKeyFile) keys = g_key_file_new ();
  g_key_file_set_string (keys, group, "type", "spice");
  g_key_file_set_string (keys, group, "host", file->host);
  g_key_file_set_integer (keys, group, "tls-port", (int) file->port);
  g_key_file_set_string (keys, group, "password", file->ticket);
  g_key_file_set_string (keys, group, "title", file->title);
  if (file->ca_pem != NULL)
    g_key_file_set_string (keys, group, "ca", file->ca_pem); /* GKeyFile writes line ends as \n */
  if (file->host_subject != NULL)
    g_key_file_set_string (keys, group, "host-subject", file->host_subject);
  g_key_file_set_string (keys, group, "secure-channels", "all");
  g_key_file_set_integer (keys, group, "delete-this-file", 1);
  g_key_file_set_string (keys, group, "toggle-fullscreen", "shift+f11");
  g_key_file_set_string (keys, group, "release-cursor", "shift+f12");
  g_key_file_set_string (keys, group, "secure-attention", "ctrl+alt+end");
  return g_key_file_to_data (keys, NULL, NULL);
}
