/* What begins an upload (broker/images/wish.h), and a Range header (broker/api/range.h). */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "broker/api/range.h"
#include "broker/images/wish.h"

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static const UsherImages limits = { .upload_max = G_MAXINT64, .disk_max = G_MAXINT64 };
  g_autofree char *text = g_strndup ((const char *) data, size);
  gint64 offset = 0, length = 0;
  if (usher_range_parse (text, 1000, &offset, &length) == USHER_RANGE_PART)
    g_assert (offset >= 0 && length > 0 && offset + length <= 1000);
  json_auto_t *body = usher_json_parse (text, strlen (text), "body", NULL);
  if (!json_is_object (body))
    return 0;
  g_autoptr (UsherImageWish) wish = usher_image_wish_parse ((UsherJson){ body, "body" }, "tiny", &limits, NULL);
  if (wish == NULL)
    return 0;
  UsherUpload upload = { .template = (char *) "tiny", .manifest = wish->manifest, .files = wish->files, .note = wish->note, .version = 1 };
  g_autofree char *manifest = usher_image_manifest_text (&upload);
  json_decref (usher_image_files (&upload, manifest));
  return 0;
}
