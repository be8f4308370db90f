/* A stream of bytes both ways, whatever carries it: a socket, TLS on a socket, WebSocket frames on
 * another stream. The relay knows only this.
 *
 * Nothing blocks. The owner is told "ready" whenever trying again may give another answer. */
#pragma once
#include <glib.h>

typedef struct _UsherStream UsherStream;

/* What read, write, finish and flush give besides a count. */
enum {
  USHER_IO_END = 0,     /* read: the peer sends no more */
  USHER_IO_AGAIN = -1,  /* not now: try when ready is called */
  USHER_IO_FAILED = -2, /* broken for good; usher_stream_reason() says why */
  USHER_IO_FULL = -3,   /* (buffers only) no room to read into */
};

typedef void (*UsherStreamReady) (gpointer user_data);

/* For those who implement a carrier. `write` may keep what it accepted until `flush` gives 0; a write
 * that gave AGAIN is retried with the same bytes, maybe more behind them. */
typedef struct {
  const char *name;
  gssize (*read) (UsherStream *stream, guint8 *bytes, gsize length);
  gssize (*write) (UsherStream *stream, const guint8 *bytes, gsize length);
  gssize (*flush) (UsherStream *stream);  /* 0 when nothing is kept; may be NULL */
  gssize (*finish) (UsherStream *stream); /* half-close: 0 done, AGAIN, FAILED */
  void (*free) (UsherStream *stream);     /* closes, and frees the struct */
} UsherStreamClass;

struct _UsherStream {
  const UsherStreamClass *klass;
  UsherStreamReady ready; /* may be NULL */
  gpointer user_data;
  guint64 bytes_read, bytes_written; /* payload */
  GByteArray *unread;                /* given back by usher_stream_unread(); usually NULL */
  char *reason;
  gboolean finished;
};

/* > 0: bytes read. */
gssize usher_stream_read (UsherStream *stream, guint8 *bytes, gsize length);
gssize usher_stream_write (UsherStream *stream, const guint8 *bytes, gsize length);

/* Sends what write accepted and kept. 0: all gone. */
gssize usher_stream_flush (UsherStream *stream);

/* Says that no more will be written; reading goes on. Repeat while it gives AGAIN; 0 when done. */
gssize usher_stream_finish (UsherStream *stream);

/* Puts bytes back in front of what will be read: for whoever looked at the beginning. Read
 * it soon after: no event will come for them. */
void usher_stream_unread (UsherStream *stream, const guint8 *bytes, gsize length);

void usher_stream_set_ready (UsherStream *stream, UsherStreamReady ready, gpointer user_data);

/* Why it failed, for logs; a static text when it did not. */
const char *usher_stream_reason (const UsherStream *stream);

/* Closes at once, both ways. NULL is nothing. */
void usher_stream_free (UsherStream *stream);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherStream, usher_stream_free)

/* For carriers: sets the reason (the first one stays) and returns USHER_IO_FAILED. */
gssize usher_stream_fail (UsherStream *stream, const char *format, ...) G_GNUC_PRINTF (2, 3);
