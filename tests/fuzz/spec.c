/* What administrators apply: the first byte tells the kind, the rest is the spec. It is good or an error that names the
 * record. */
#include <string.h>

#include "broker/store/spec.h"
#include "common/json.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GError) error = NULL, no_key = NULL;
  g_autofree char *key = NULL;
  if (size < 1)
    return 0;
  UsherKind kind = data[0] % USHER_KINDS;
  json_auto_t *spec = usher_json_parse ((const char *) data + 1, size - 1, "spec", NULL);
  gboolean good = spec != NULL && usher_spec_check (kind, "name", spec, &error);
  if (spec != NULL && good == (error != NULL))
    __builtin_trap ();
  if (error != NULL && strstr (error->message, "spec") == NULL)
    __builtin_trap ();
  if (good && kind == USHER_KIND_ENTITLEMENT)
    {
      key = usher_spec_entitlement_key (spec, &no_key);
      if (key == NULL)
        __builtin_trap ();
    }
  return 0;
}
