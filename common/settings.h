/* Configuration files: `[section]` and `key = value` lines, read against one schema table.
 *
 * The table parses, checks, prints help and stars out secrets. Unknown sections and keys, duplicates,
 * values out of range and trailing comments («port = 1 # x») are errors with file and line. A comment
 * is a line whose first character is '#'. */
#pragma once
#include <glib.h>

typedef enum {
  USHER_SETTING_STRING,
  USHER_SETTING_PATH,    /* absolute */
  USHER_SETTING_INT,     /* min..max */
  USHER_SETTING_BOOL,    /* yes | no */
  USHER_SETTING_CHOICE,  /* one of `choices`, separated by '|' */
  USHER_SETTING_ADDRESS, /* HOST:PORT, [V6]:PORT or unix:/PATH */
  USHER_SETTING_LIST,    /* words separated by blanks */
} UsherSettingType;

typedef struct {
  const char *section, *key;
  UsherSettingType type;
  const char *fallback; /* NULL: must be given; "" : may be empty */
  gint64 min, max;      /* INT only */
  const char *choices;  /* CHOICE only */
  gboolean secret;      /* stars in any print-out */
  const char *help;     /* one line */
} UsherSetting;

typedef struct _UsherSettings UsherSettings;

/* `schema` ends with an entry whose section is NULL and outlives the result. */
UsherSettings *usher_settings_load (const UsherSetting *schema, const char *path, GError **error);

/* As usher_settings_load() from text; `name` stands for the file in errors. For tests and the fuzzer. */
UsherSettings *usher_settings_parse (const UsherSetting *schema, const char *name, const char *text, gsize length,
                                     GError **error);

/* Borrowed. Asking for a key the schema lacks, or as another type, is a programming error and aborts. */
const char *usher_settings_get_string (const UsherSettings *settings, const char *section, const char *key);
gint64 usher_settings_get_int (const UsherSettings *settings, const char *section, const char *key);
gboolean usher_settings_get_bool (const UsherSettings *settings, const char *section, const char *key);
/* NULL-terminated, borrowed. */
const char *const *usher_settings_get_list (const UsherSettings *settings, const char *section, const char *key);

/* The schema as a commented example file (--help-config); owned by the caller. */
char *usher_settings_describe (const UsherSetting *schema);

/* The values in force, secrets starred out; owned by the caller. */
char *usher_settings_print (const UsherSettings *settings);

void usher_settings_free (UsherSettings *settings);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherSettings, usher_settings_free)

/* The command line every daemon has: --config FILE, --check-config, --help-config, --version. Returns the
 * settings, or NULL after which main returns *out_exit (0 when help or a check was asked for and given). */
UsherSettings *usher_settings_from_command_line (const UsherSetting *schema, const char *program, int argc, char **argv,
                                                 int *out_exit);
