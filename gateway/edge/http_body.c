#include "gateway/edge/http_body.h"
#include "common/error.h"

#define DIGITS_MAX 15
#define TEXT_MAX 4096 /* of extensions in one size line; of all trailers */

/* chunked: size [;extension] CRLF data CRLF … 0 CRLF [trailer CRLF]… CRLF */
enum {
  SIZE,       /* hexadecimal digits */
  EXTENSION,  /* up to CR */
  SIZE_LF,    /* the LF of the size line */
  DATA,       /* `left` bytes */
  DATA_CR,    /* behind a chunk */
  DATA_LF,
  TRAILER,    /* at the beginning of a line behind the last chunk */
  TRAILER_LINE,
  TRAILER_LF,
  END_LF,     /* the LF of the last empty line */
};

void
usher_http_body_init (UsherHttpBody *body, UsherHttpFraming framing, guint64 length)
{
  *body = (UsherHttpBody){ .framing = framing, .left = framing == USHER_HTTP_FRAME_LENGTH ? length : 0 };
  body->done = framing == USHER_HTTP_FRAME_NONE || (framing == USHER_HTTP_FRAME_LENGTH && length == 0);
}

static gboolean
broken (GError **error, const char *what)
{
  g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "chunked body: %s", what);
  return FALSE;
}

static gboolean
take_size (UsherHttpBody *body, guint8 c, GError **error)
{
  if (g_ascii_isxdigit (c))
    {
      if (++body->digits > DIGITS_MAX)
        return broken (error, "a chunk's size has too many digits");
      body->left = body->left * 16 + (guint64) g_ascii_xdigit_value ((char) c);
      return TRUE;
    }
  if (body->digits == 0)
    return broken (error, "a chunk begins without a size");
  if (c != '\r' && c != ';' && c != ' ' && c != '\t')
    return broken (error, "a chunk's size is not hexadecimal");
  body->state = c == '\r' ? SIZE_LF : EXTENSION;
  body->line = 0;
  return TRUE;
}

/* Lines of which only the end matters. */
static gboolean
take_line (UsherHttpBody *body, guint8 c, guint next, GError **error)
{
  if (++body->line > TEXT_MAX)
    return broken (error, "an extension or a trailer is too long");
  if (c == '\n')
    return broken (error, "a bare LF");
  if (c == '\r')
    body->state = next;
  return TRUE;
}

static gboolean
expect (UsherHttpBody *body, guint8 c, guint8 wanted, guint next, GError **error)
{
  if (c != wanted)
    return broken (error, "a chunk does not end where it says");
  body->state = next;
  return TRUE;
}

static gboolean
take_one (UsherHttpBody *body, guint8 c, GError **error)
{
  switch (body->state)
    {
    case SIZE:
      return take_size (body, c, error);
    case EXTENSION:
      return take_line (body, c, SIZE_LF, error);
    case SIZE_LF:
      body->digits = 0;
      return expect (body, c, '\n', body->left > 0 ? DATA : TRAILER, error);
    case DATA_CR:
      return expect (body, c, '\r', DATA_LF, error);
    case DATA_LF:
      return expect (body, c, '\n', SIZE, error);
    case TRAILER:
      body->state = c == '\r' ? END_LF : TRAILER_LINE;
      return c == '\r' || take_line (body, c, TRAILER_LF, error);
    case TRAILER_LINE:
      return take_line (body, c, TRAILER_LF, error);
    case TRAILER_LF:
      return expect (body, c, '\n', TRAILER, error);
    default: /* END_LF */
      body->done = c == '\n';
      return body->done || broken (error, "its last line does not end");
    }
}

static gssize
scan_chunked (UsherHttpBody *body, const guint8 *bytes, gsize length, GError **error)
{
  gsize at = 0;
  while (at < length && !body->done)
    {
      if (body->state != DATA)
        {
          if (!take_one (body, bytes[at++], error))
            return -1;
          continue;
        }
      const gsize n = (gsize) MIN ((guint64) (length - at), body->left);
      at += n;
      body->left -= n;
      if (body->left == 0)
        body->state = DATA_CR;
    }
  return (gssize) at;
}

gssize
usher_http_body_scan (UsherHttpBody *body, const guint8 *bytes, gsize length, GError **error)
{
  if (body->done)
    return 0;
  if (body->framing == USHER_HTTP_FRAME_CLOSE)
    return (gssize) length;
  if (body->framing == USHER_HTTP_FRAME_CHUNKED)
    return scan_chunked (body, bytes, length, error);
  const gsize n = (gsize) MIN ((guint64) length, body->left);
  body->left -= n;
  body->done = body->left == 0;
  return (gssize) n;
}
