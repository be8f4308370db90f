/* Chunked framing: the end is found at the same byte, or the same fault, whether it comes at once or byte by byte. */
#include "gateway/edge/http_body.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  UsherHttpBody whole, bytewise;
  g_autoptr (GError) error = NULL;
  usher_http_body_init (&whole, USHER_HTTP_FRAME_CHUNKED, 0);
  const gssize used = usher_http_body_scan (&whole, data, size, &error);
  usher_http_body_init (&bytewise, USHER_HTTP_FRAME_CHUNKED, 0);
  gssize count = 0;
  for (size_t i = 0; i < size && count >= 0 && !bytewise.done; i++)
    {
      g_autoptr (GError) step_error = NULL;
      const gssize n = usher_http_body_scan (&bytewise, data + i, 1, &step_error);
      count = n < 0 ? -1 : count + n;
    }
  g_assert_cmpint (count, ==, used);
  g_assert_true (whole.done == bytewise.done && used <= (gssize) size && (used < 0) == (error != NULL));
  return 0;
}
