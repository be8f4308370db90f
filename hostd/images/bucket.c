#include "hostd/images/bucket.h"

#define BURST_PARTS 4 /* of a second */

static gint64
burst_of (const UsherBucket *bucket)
{
  return MAX (bucket->rate / BURST_PARTS, 1);
}

UsherBucket
usher_bucket_new (gint64 rate, gint64 now_us)
{
  UsherBucket bucket = { .rate = rate, .at_us = now_us };
  bucket.level = burst_of (&bucket);
  return bucket;
}

/* In double: a long pause at a high rate would be more than 64 bits of bytes times µs hold. */
gint64
usher_bucket_take (UsherBucket *bucket, gint64 bytes, gint64 now_us)
{
  if (bucket->rate <= 0)
    return 0;
  double gained = (double) MAX (now_us - bucket->at_us, 0) * (double) bucket->rate / G_USEC_PER_SEC;
  double level = MIN ((double) bucket->level + gained, (double) burst_of (bucket)) - (double) bytes;
  bucket->level = (gint64) level;
  bucket->at_us = now_us;
  return level >= 0 ? 0 : (gint64) (-level * G_USEC_PER_SEC / (double) bucket->rate);
}
