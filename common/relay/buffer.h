/* Bounded buffers out of fixed blocks: a buffer holds a block only while it holds bytes, so an idle
 * connection costs none, and moving bytes allocates nothing once the pool is warm. */
#pragma once
#include <glib.h>
#include "common/relay/stream.h"

#define USHER_BLOCK_SIZE 16384 /* one TLS record */

typedef struct _UsherPool UsherPool;

/* At most `blocks_max` blocks exist at a time; up to `blocks_kept` idle ones are kept for reuse. */
UsherPool *usher_pool_new (guint blocks_max, guint blocks_kept);
guint usher_pool_in_use (const UsherPool *pool);
void usher_pool_free (UsherPool *pool);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherPool, usher_pool_free)

typedef struct {
  UsherPool *pool;
  guint8 *block; /* NULL while empty */
  guint start, end;
} UsherBuffer;

void usher_buffer_init (UsherBuffer *buffer, UsherPool *pool);

/* Gives the block back. */
void usher_buffer_clear (UsherBuffer *buffer);

guint usher_buffer_length (const UsherBuffer *buffer);

/* The bytes held (usher_buffer_length() of them); never NULL. Valid until the next call. */
const guint8 *usher_buffer_peek (const UsherBuffer *buffer);

/* Whether it holds as much as it can. */
gboolean usher_buffer_is_full (const UsherBuffer *buffer);

/* Drops the first `length` bytes. */
void usher_buffer_consume (UsherBuffer *buffer, guint length);

/* FALSE, and nothing appended, when the bytes do not fit or the pool is empty. */
gboolean usher_buffer_append (UsherBuffer *buffer, const void *bytes, guint length);

/* One read from `stream` into the free space: as usher_stream_read(). With a full buffer, or an empty
 * pool, USHER_IO_FULL. */
gssize usher_buffer_fill (UsherBuffer *buffer, UsherStream *stream);

/* Writes at most `limit` bytes of what is held: bytes written (0: nothing to do), USHER_IO_AGAIN, USHER_IO_FAILED. */
gssize usher_buffer_drain (UsherBuffer *buffer, UsherStream *stream, guint64 limit);
