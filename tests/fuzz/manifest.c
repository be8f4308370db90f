/* A template's manifest: whatever is in the file, it is a manifest or an error. */
#include "common/json.h"
#include "templates/manifest.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GError) error = NULL;
  json_auto_t *document = usher_json_parse ((const char *) data, size, "manifest.json", NULL);
  g_autoptr (UsherTemplateManifest) manifest
      = document != NULL ? usher_template_manifest_parse (document, "manifest.json", &error) : NULL;
  if (document != NULL && (manifest == NULL) != (error != NULL))
    __builtin_trap ();
  if (manifest != NULL && (!usher_template_name_is_valid (manifest->name) || manifest->version < 1
                           || (manifest->disk_file == NULL && manifest->kernel_file == NULL)))
    __builtin_trap ();
  return 0;
}
