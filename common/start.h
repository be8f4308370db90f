/* The start of main that the daemons share. */
#pragma once
#include "common/settings.h"

/* Opens the log, reads the command line (usher_settings_from_command_line()), and then logs from `section`'s log_level on.
 * Returns the settings, or NULL after which main returns *out_exit. */
UsherSettings *usher_start (const UsherSetting *schema, const char *program, const char *section, int argc, char **argv,
                            int *out_exit);
