/* A disk image's first and last bytes: accepted with a format, or an error of the two kinds. */
#include "common/error.h"
#include "common/image/head.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GError) error = NULL;
  UsherImageHead head = { 0 };
  gsize length = MIN (size, USHER_IMAGE_HEAD_MAX), end = size >= USHER_IMAGE_TAIL_MAX ? USHER_IMAGE_TAIL_MAX : 0;
  gboolean taken = usher_image_head_parse (data, length, data + size - end, end, size, &head, &error);

  if (taken != (error == NULL) || (taken && head.format > USHER_IMAGE_VPC))
    __builtin_trap ();
  if (error != NULL && error->code != USHER_ERROR_INVALID && error->code != USHER_ERROR_REFUSED)
    __builtin_trap ();
  return 0;
}
