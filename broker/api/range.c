#include "broker/api/range.h"
#include <string.h>

/* Digits only; the number ends at *end. */
static gboolean
read_number (const char *text, gint64 *out, const char **end)
{
  char *stop = NULL;
  if (!g_ascii_isdigit (text[0]))
    return FALSE;
  guint64 value = g_ascii_strtoull (text, &stop, 10);
  *out = value > G_MAXINT64 ? G_MAXINT64 : (gint64) value;
  *end = stop;
  return TRUE;
}

UsherRange
usher_range_parse (const char *header, gint64 size, gint64 *out_offset, gint64 *out_length)
{
  gint64 first = 0, last = size - 1, suffix = 0;
  const char *rest = NULL;
  *out_offset = 0;
  *out_length = size;
  if (header == NULL || g_ascii_strncasecmp (header, "bytes=", 6) != 0)
    return USHER_RANGE_ALL;
  header += 6;
  if (header[0] == '-') {
    if (!read_number (header + 1, &suffix, &rest) || *rest != '\0')
      return USHER_RANGE_ALL;
    first = MAX (size - suffix, 0);
    if (suffix == 0 || size == 0)
      return USHER_RANGE_OUTSIDE;
  } else {
    if (!read_number (header, &first, &rest) || *rest != '-')
      return USHER_RANGE_ALL;
    if (rest[1] != '\0' && (!read_number (rest + 1, &last, &rest) || *rest != '\0' || last < first))
      return USHER_RANGE_ALL;
    if (first >= size)
      return USHER_RANGE_OUTSIDE;
  }
  *out_offset = first;
  *out_length = MIN (last, size - 1) - first + 1;
  return USHER_RANGE_PART;
}
