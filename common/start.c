#include "common/start.h"

#include "common/log.h"

UsherSettings *
usher_start (const UsherSetting *schema, const char *program, const char *section, int argc, char **argv, int *out_exit)
{
  UsherLogLevel level = USHER_LOG_INFO;
  usher_log_init (program, level);
  UsherSettings *settings = usher_settings_from_command_line (schema, program, argc, argv, out_exit);
  if (settings != NULL && usher_log_level_parse (usher_settings_get_string (settings, section, "log_level"), &level))
    usher_log_init (program, level);
  return settings;
}
