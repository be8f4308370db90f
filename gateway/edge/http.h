/* HTTP on one client connection: each request is checked, passed to the broker's API socket and its
 * answer passed back; the one WebSocket, /spice, is handed out.
 *
 * One connection to the broker belongs to one of a client and is kept for its next request. */
#pragma once
#include "common/relay/buffer.h"
#include "common/relay/loop.h"
#include "common/relay/socket.h"
#include "common/relay/stream.h"

typedef struct {
  UsherLoop *loop;
  UsherPool *pool;
  UsherAddress api;     /* the broker's socket */
  const char *origin;   /* of public_url: "https://host[:port]", lower case; other WebSocket origins are refused */
  guint head_ms;        /* a request's head, from its first byte */
  guint keep_alive_ms;  /* between requests */
  guint still_ms;       /* nothing moves within an exchange (longer than the API's longest wait) */
  gboolean draining;    /* every answer says "Connection: close" */
} UsherHttpContext;

typedef struct _UsherHttp UsherHttp;

/* Over: the connection is to be closed. Or, with `upgraded`, a stream inside WebSocket frames that is
 * the callee's now. Called once; the UsherHttp is freed by its owner, maybe here. */
typedef void (*UsherHttpDone) (UsherStream *upgraded, gpointer user_data);

/* Takes over `client`, positioned at a request's first byte. */
UsherHttp *usher_http_new (const UsherHttpContext *context, UsherStream *client, const char *client_address,
                           UsherHttpDone done, gpointer user_data);

/* Whether a request is under way. */
gboolean usher_http_is_busy (const UsherHttp *http);

/* At any time; closes what is left. */
void usher_http_free (UsherHttp *http);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherHttp, usher_http_free)
