/* An answer read from a file piece by piece: the next one once the last has left, so that a slow client costs one piece of memory,
 * and a slow disk costs a worker and not the main loop. */
#include <errno.h>
#include <unistd.h>
#include "broker/api/api_private.h"
#include "broker/api/call_private.h"
#include "common/error.h"
#include "common/fault.h"

#define PIECE (256 * 1024)

typedef struct {
  UsherCall *call;
  int fd;
  gint64 offset, left;
  gulong on_wrote, on_finished, on_disconnected;
  gboolean reading, over;
} Stream;

/* What a worker reads: it shares nothing with the stream but the descriptor, which stays open while it reads. */
typedef struct {
  int fd;
  gint64 offset;
  gsize length;
} Piece;

static gpointer
read_piece (gpointer state, gpointer job, GError **error)
{
  const Piece *piece = job;
  char *data = g_malloc (piece->length);
  gsize done = 0;
  while (done < piece->length) {
    gssize n = pread (piece->fd, data + done, piece->length - done, (off_t) (piece->offset + (gint64) done));
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0) {
      g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "a file that is sent: %s",
                   n == 0 ? "it ends too early" : g_strerror (errno));
      g_free (data);
      return NULL;
    }
    done += (gsize) n;
  }
  return g_bytes_new_take (data, piece->length);
}

static void
free_when_idle (Stream *stream)
{
  if (!stream->over || stream->reading)
    return;
  close (stream->fd);
  usher_call_unref (stream->call);
  g_free (stream);
}

static void
end (Stream *stream)
{
  if (stream->over)
    return;
  UsherCall *call = stream->call;
  stream->over = TRUE;
  g_signal_handler_disconnect (call->message, stream->on_wrote);
  g_signal_handler_disconnect (call->message, stream->on_finished);
  g_signal_handler_disconnect (call->message, stream->on_disconnected);
  usher_api_call_ended (call->api, call, NULL);
  free_when_idle (stream);
}

/* The head is gone: that it went wrong can only be told by hanging up. */
static void
hang_up (Stream *stream, const GError *error)
{
  UsherLogContext context = usher_call_log_context (stream->call);
  GSocket *socket = soup_server_message_get_socket (stream->call->message);
  usher_log (USHER_LOG_WARNING, &context, "%s", error->message);
  if (socket != NULL)
    g_socket_shutdown (socket, TRUE, TRUE, NULL);
  soup_server_message_unpause (stream->call->message);
}

static void
piece_read (gpointer result, const GError *error, gpointer user_data)
{
  Stream *stream = user_data;
  g_autoptr (GBytes) bytes = result;
  stream->reading = FALSE;
  if (stream->over)
    free_when_idle (stream);
  else if (bytes == NULL)
    hang_up (stream, error);
  else {
    stream->offset += (gint64) g_bytes_get_size (bytes);
    stream->left -= (gint64) g_bytes_get_size (bytes);
    USHER_FAULT_POINT ("images.download");
    soup_message_body_append_bytes (soup_server_message_get_response_body (stream->call->message), bytes);
    soup_server_message_unpause (stream->call->message);
  }
}

static void
read_on (Stream *stream)
{
  UsherWorkers *workers = usher_image_service_get_pieces (stream->call->api->parts.images);
  g_autoptr (GError) error = NULL;
  if (stream->left == 0 || stream->reading || stream->over)
    return;
  Piece *piece = g_new (Piece, 1);
  *piece = (Piece){ .fd = stream->fd, .offset = stream->offset, .length = (gsize) MIN (stream->left, PIECE) };
  stream->reading = TRUE;
  if (workers != NULL
      && usher_workers_submit (workers, read_piece, piece, g_free, 0, piece_read, stream, (GDestroyNotify) g_bytes_unref, &error))
    return;
  stream->reading = FALSE;
  if (workers == NULL) {
    g_free (piece);
    g_set_error (&error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "the broker ends");
  }
  hang_up (stream, error);
}

static void
wrote_chunk (SoupServerMessage *message, gpointer user_data)
{
  read_on (user_data);
}

static void
message_over (SoupServerMessage *message, gpointer user_data)
{
  end (user_data);
}

void
usher_call_stream (UsherCall *call, guint status, int fd, gint64 offset, gint64 length)
{
  SoupServerMessage *message = call->message;
  SoupMessageHeaders *headers = soup_server_message_get_response_headers (message);
  call->finished = TRUE;
  call->status = status;
  usher_call_send_head (call, NULL);
  if (call->gone) {
    close (fd);
    usher_api_call_ended (call->api, call, NULL);
    return;
  }
  Stream *stream = g_new0 (Stream, 1);
  *stream = (Stream){ .call = usher_call_ref (call), .fd = fd, .offset = offset, .left = length };
  soup_message_headers_set_content_type (headers, "application/octet-stream", NULL);
  soup_message_headers_set_content_length (headers, length);
  soup_message_body_set_accumulate (soup_server_message_get_response_body (message), FALSE);
  stream->on_wrote = g_signal_connect (message, "wrote-chunk", G_CALLBACK (wrote_chunk), stream);
  stream->on_finished = g_signal_connect (message, "finished", G_CALLBACK (message_over), stream);
  stream->on_disconnected = g_signal_connect (message, "disconnected", G_CALLBACK (message_over), stream);
  if (length > 0)
    read_on (stream);
  else
    soup_server_message_unpause (message);
}
