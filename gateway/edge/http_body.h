/* Where a response's body ends, found as its bytes pass by; they are passed on unchanged. */
#pragma once
#include "gateway/edge/http_head.h"

typedef struct {
  UsherHttpFraming framing;
  guint64 left;  /* of the body, or of the chunk */
  guint state;   /* within chunked framing */
  guint digits;  /* of the chunk's size so far */
  guint line;    /* bytes of the extension or trailer so far */
  gboolean done; /* never with FRAME_CLOSE */
} UsherHttpBody;

void usher_http_body_init (UsherHttpBody *body, UsherHttpFraming framing, guint64 length);

/* How many of the next bytes belong to the body; fewer than `length` only when it is done. -1 with *error
 * when the framing is broken. */
gssize usher_http_body_scan (UsherHttpBody *body, const guint8 *bytes, gsize length, GError **error);
