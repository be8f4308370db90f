/* A client's WebSocket bytes, fed to the stream that unwraps them; what it writes goes nowhere. It must come to an
 * end: AGAIN, the end, or a failure. */
#include <string.h>
#include "common/relay/buffer.h"
#include "gateway/ws/ws_stream.h"
#include "tests/fuzz/fuzz.h"

typedef struct {
  UsherStream base;
  const uint8_t *data;
  size_t left;
} Source;

static gssize
source_read (UsherStream *stream, guint8 *bytes, gsize length)
{
  Source *source = (Source *) stream;
  const size_t n = MIN (MIN (length, source->left), 1 + source->left % 61); /* in odd pieces */
  if (n == 0)
    return USHER_IO_END;
  memcpy (bytes, source->data, n);
  source->data += n;
  source->left -= n;
  return (gssize) n;
}

static gssize
source_write (UsherStream *stream, const guint8 *bytes, gsize length)
{
  return (gssize) length;
}

static gssize
source_finish (UsherStream *stream)
{
  return 0;
}

static void
source_free (UsherStream *stream)
{
  g_free (stream);
}

static const UsherStreamClass source_class = {
  .name = "source", .read = source_read, .write = source_write, .finish = source_finish, .free = source_free,
};

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  guint8 bytes[512];
  gsize got = 0;
  g_autoptr (UsherPool) pool = usher_pool_new (4, 4);
  Source *source = g_new0 (Source, 1);
  *source = (Source){ .base.klass = &source_class, .data = data, .left = size };
  UsherStream *stream = usher_ws_stream_new (&source->base, pool);
  gssize n;
  while ((n = usher_stream_read (stream, bytes, sizeof bytes)) > 0)
    got += (gsize) n;
  g_assert_true (n == USHER_IO_END || n == USHER_IO_FAILED);
  g_assert_cmpuint (got, <=, size);
  usher_stream_write (stream, data, size);
  usher_stream_finish (stream);
  usher_stream_free (stream);
  g_assert_cmpuint (usher_pool_in_use (pool), ==, 0);
  return 0;
}
