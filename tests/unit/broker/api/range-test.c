/* A Range header by table, hostile ones too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "broker/api/range.h"

static const struct {
  const char *header;
  gint64 size;
  UsherRange wanted;
  gint64 offset, length;
} cases[] = {
  { NULL, 100, USHER_RANGE_ALL, 0, 100 },
  { "", 100, USHER_RANGE_ALL, 0, 100 },
  { "bytes=0-", 100, USHER_RANGE_PART, 0, 100 },
  { "bytes=10-", 100, USHER_RANGE_PART, 10, 90 },
  { "bytes=10-19", 100, USHER_RANGE_PART, 10, 10 },
  { "Bytes=99-99", 100, USHER_RANGE_PART, 99, 1 },
  { "bytes=10-1000", 100, USHER_RANGE_PART, 10, 90 },
  { "bytes=10-99999999999999999999999999", 100, USHER_RANGE_PART, 10, 90 },
  { "bytes=-10", 100, USHER_RANGE_PART, 90, 10 },
  { "bytes=-1000", 100, USHER_RANGE_PART, 0, 100 },
  { "bytes=-0", 100, USHER_RANGE_OUTSIDE, 0, 100 },
  { "bytes=100-", 100, USHER_RANGE_OUTSIDE, 0, 100 },
  { "bytes=0-", 0, USHER_RANGE_OUTSIDE, 0, 0 },
  { "bytes=99999999999999999999999999-", 100, USHER_RANGE_OUTSIDE, 0, 100 },
  { "bytes=-5", 0, USHER_RANGE_OUTSIDE, 0, 0 },
  { "bytes=20-10", 100, USHER_RANGE_ALL, 0, 100 },
  { "bytes=1-2,4-5", 100, USHER_RANGE_ALL, 0, 100 },
  { "bytes=", 100, USHER_RANGE_ALL, 0, 100 },
  { "bytes=-", 100, USHER_RANGE_ALL, 0, 100 },
  { "bytes=--5", 100, USHER_RANGE_ALL, 0, 100 },
  { "bytes=+5-6", 100, USHER_RANGE_ALL, 0, 100 },
  { "bytes= 5-6", 100, USHER_RANGE_ALL, 0, 100 },
  { "bytes=5-6x", 100, USHER_RANGE_ALL, 0, 100 },
  { "lines=5-6", 100, USHER_RANGE_ALL, 0, 100 },
};

static void
ranges_by_table (void **state)
{
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    gint64 offset = -1, length = -1;
    UsherRange range = usher_range_parse (cases[i].header, cases[i].size, &offset, &length);
    if (range != cases[i].wanted)
      fail_msg ("«%s» is %d", cases[i].header, range);
    if (range != USHER_RANGE_OUTSIDE && (offset != cases[i].offset || length != cases[i].length))
      fail_msg ("«%s» is %d + %d", cases[i].header, (int) offset, (int) length);
  }
}

int
main (void)
{
  const struct CMUnitTest tests[] = { cmocka_unit_test (ranges_by_table) };
  return cmocka_run_group_tests_name ("broker/api/range", tests, NULL, NULL);
}
