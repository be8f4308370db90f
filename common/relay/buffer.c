#include "common/relay/buffer.h"
#include <string.h>

typedef struct _FreeBlock FreeBlock;
struct _FreeBlock {
  FreeBlock *next;
};

struct _UsherPool {
  guint blocks_max, blocks_kept, in_use, kept;
  FreeBlock *free_list;
};

UsherPool *
usher_pool_new (guint blocks_max, guint blocks_kept)
{
  UsherPool *pool = g_new0 (UsherPool, 1);
  pool->blocks_max = blocks_max;
  pool->blocks_kept = blocks_kept;
  return pool;
}

guint
usher_pool_in_use (const UsherPool *pool)
{
  return pool->in_use;
}

void
usher_pool_free (UsherPool *pool)
{
  if (pool == NULL)
    return;
  while (pool->free_list != NULL)
    {
      FreeBlock *block = pool->free_list;
      pool->free_list = block->next;
      g_free (block);
    }
  g_free (pool);
}

static guint8 *
pool_take (UsherPool *pool)
{
  if (pool->in_use >= pool->blocks_max)
    return NULL;
  pool->in_use++;
  FreeBlock *block = pool->free_list;
  if (block == NULL)
    return g_malloc (USHER_BLOCK_SIZE);
  pool->free_list = block->next;
  pool->kept--;
  return (guint8 *) block;
}

static void
pool_give (UsherPool *pool, guint8 *bytes)
{
  pool->in_use--;
  if (pool->kept >= pool->blocks_kept)
    {
      g_free (bytes);
      return;
    }
  FreeBlock *block = (FreeBlock *) bytes;
  block->next = pool->free_list;
  pool->free_list = block;
  pool->kept++;
}

void
usher_buffer_init (UsherBuffer *buffer, UsherPool *pool)
{
  *buffer = (UsherBuffer){ .pool = pool };
}

void
usher_buffer_clear (UsherBuffer *buffer)
{
  if (buffer->block != NULL)
    pool_give (buffer->pool, buffer->block);
  buffer->block = NULL;
  buffer->start = buffer->end = 0;
}

guint
usher_buffer_length (const UsherBuffer *buffer)
{
  return buffer->end - buffer->start;
}

const guint8 *
usher_buffer_peek (const UsherBuffer *buffer)
{
  return buffer->block != NULL ? buffer->block + buffer->start : (const guint8 *) "";
}

gboolean
usher_buffer_is_full (const UsherBuffer *buffer)
{
  return usher_buffer_length (buffer) == USHER_BLOCK_SIZE;
}

void
usher_buffer_consume (UsherBuffer *buffer, guint length)
{
  buffer->start += MIN (length, usher_buffer_length (buffer));
  if (buffer->start == buffer->end)
    usher_buffer_clear (buffer);
}

/* Makes all the free space one piece at the end; FALSE when there is none. */
static gboolean
make_room (UsherBuffer *buffer)
{
  if (buffer->block == NULL)
    {
      buffer->block = pool_take (buffer->pool);
      return buffer->block != NULL;
    }
  if (buffer->start > 0)
    {
      memmove (buffer->block, buffer->block + buffer->start, buffer->end - buffer->start);
      buffer->end -= buffer->start;
      buffer->start = 0;
    }
  return buffer->end < USHER_BLOCK_SIZE;
}

gboolean
usher_buffer_append (UsherBuffer *buffer, const void *bytes, guint length)
{
  if (length == 0)
    return TRUE;
  if (length > USHER_BLOCK_SIZE - usher_buffer_length (buffer) || !make_room (buffer))
    return FALSE;
  memcpy (buffer->block + buffer->end, bytes, length);
  buffer->end += length;
  return TRUE;
}

gssize
usher_buffer_fill (UsherBuffer *buffer, UsherStream *stream)
{
  if (usher_buffer_is_full (buffer) || !make_room (buffer))
    return USHER_IO_FULL;
  const gssize n = usher_stream_read (stream, buffer->block + buffer->end, USHER_BLOCK_SIZE - buffer->end);
  if (n > 0)
    buffer->end += (guint) n;
  else if (buffer->start == buffer->end)
    usher_buffer_clear (buffer);
  return n;
}

gssize
usher_buffer_drain (UsherBuffer *buffer, UsherStream *stream, guint64 limit)
{
  const guint length = (guint) MIN ((guint64) usher_buffer_length (buffer), limit);
  if (length == 0)
    return 0;
  const gssize n = usher_stream_write (stream, buffer->block + buffer->start, length);
  if (n > 0)
    usher_buffer_consume (buffer, (guint) n);
  return n;
}
