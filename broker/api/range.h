/* A request's Range header. Pure. */
#pragma once
#include <glib.h>

typedef enum {
  USHER_RANGE_ALL,     /* none asked for, or not one we give: the whole */
  USHER_RANGE_PART,
  USHER_RANGE_OUTSIDE, /* nothing of it is there: 416 */
} UsherRange;

/* `header` (untrusted, may be NULL) of something of `size` bytes. One range of bytes is given; of several, the whole.
 * *out_offset and *out_length are set for ALL and PART. (RFC 9110, 14.2) */
UsherRange usher_range_parse (const char *header, gint64 size, gint64 *out_offset, gint64 *out_length);
