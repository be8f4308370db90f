/* RUN/consoles/DESKTOP-ID: where a running desktop's services listen, for the door. */
#pragma once
#include <glib.h>

/* Ids that there is a file for: g_strfreev(). Makes the directory when it is not there. */
char **usher_console_files_list (const char *dir, GError **error);

/* Makes the file say `spice_port` on 127.0.0.1, by rename; 0 removes it. Does nothing when it says so already. */
gboolean usher_console_file_set (const char *dir, const char *id, int spice_port, GError **error);
