/* ctl/yaml_read.c: whatever is read is written and read back as the same value. */
#include "ctl/yaml_read.h"
#include "ctl/yaml_write.h"
#include "tests/fuzz/fuzz.h"
#include <string.h>

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GPtrArray) documents = usher_yaml_read ((const char *) data, size, "fuzz", NULL);

  for (guint i = 0; documents != NULL && i < documents->len; i++) {
    const UsherYamlDocument *document = documents->pdata[i];
    g_autofree char *text = usher_yaml_write (document->value);
    g_autoptr (GError) error = NULL;
    g_autoptr (GPtrArray) again = usher_yaml_read (text, strlen (text), "again", &error);
    usher_yaml_document_find_line (document, "spec.maximum: is too large");
    if (again == NULL) {
      if (strlen (text) > 1024 * 1024) /* indented it may be over the limit */
        continue;
      g_error ("not read back: %s\n%s", error->message, text);
    }
    if (again->len != 1 || !json_equal (document->value, ((UsherYamlDocument *) again->pdata[0])->value))
      g_error ("read back as something else:\n%s", text);
  }
  return 0;
}
