#include "common/relay/stream.h"
#include <string.h>

static gssize
read_unread (UsherStream *stream, guint8 *bytes, gsize length)
{
  const gsize n = MIN (length, stream->unread->len);
  memcpy (bytes, stream->unread->data, n);
  g_byte_array_remove_range (stream->unread, 0, (guint) n);
  if (stream->unread->len == 0)
    g_clear_pointer (&stream->unread, g_byte_array_unref);
  return (gssize) n;
}

gssize
usher_stream_read (UsherStream *stream, guint8 *bytes, gsize length)
{
  if (length == 0)
    return USHER_IO_AGAIN;
  if (stream->unread != NULL)
    return read_unread (stream, bytes, length);
  const gssize n = stream->klass->read (stream, bytes, length);
  if (n > 0)
    stream->bytes_read += (guint64) n;
  return n;
}

gssize
usher_stream_write (UsherStream *stream, const guint8 *bytes, gsize length)
{
  if (stream->finished)
    return usher_stream_fail (stream, "written to after its end");
  const gssize n = stream->klass->write (stream, bytes, length);
  if (n > 0)
    stream->bytes_written += (guint64) n;
  return n;
}

gssize
usher_stream_flush (UsherStream *stream)
{
  return stream->klass->flush != NULL ? stream->klass->flush (stream) : 0;
}

gssize
usher_stream_finish (UsherStream *stream)
{
  if (stream->finished)
    return 0;
  gssize n = usher_stream_flush (stream);
  if (n == 0)
    n = stream->klass->finish (stream);
  stream->finished = n == 0;
  return n;
}

void
usher_stream_unread (UsherStream *stream, const guint8 *bytes, gsize length)
{
  if (length == 0)
    return;
  if (stream->unread == NULL)
    stream->unread = g_byte_array_new ();
  g_byte_array_prepend (stream->unread, bytes, (guint) length);
}

void
usher_stream_set_ready (UsherStream *stream, UsherStreamReady ready, gpointer user_data)
{
  stream->ready = ready;
  stream->user_data = user_data;
}

const char *
usher_stream_reason (const UsherStream *stream)
{
  return stream->reason != NULL ? stream->reason : "no failure";
}

gssize
usher_stream_fail (UsherStream *stream, const char *format, ...)
{
  if (stream->reason == NULL)
    {
      va_list args;
      va_start (args, format);
      stream->reason = g_strdup_vprintf (format, args);
      va_end (args);
    }
  return USHER_IO_FAILED;
}

void
usher_stream_free (UsherStream *stream)
{
  if (stream == NULL)
    return;
  g_clear_pointer (&stream->unread, g_byte_array_unref);
  g_clear_pointer (&stream->reason, g_free);
  stream->klass->free (stream);
}
