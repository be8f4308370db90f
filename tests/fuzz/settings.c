/* A settings file: what is refused says where, what is taken can be printed. */
#include <string.h>
#include "gateway/settings.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (UsherSettings) settings
      = usher_settings_parse (usher_gateway_schema, "gateway.conf", (const char *) data, size, &error);
  g_assert_true ((settings == NULL) == (error != NULL));
  if (settings == NULL)
    {
      g_assert_true (g_str_has_prefix (error->message, "gateway.conf"));
      return 0;
    }
  g_autofree char *text = usher_settings_print (settings);
  g_assert_nonnull (text);
  return 0;
}
