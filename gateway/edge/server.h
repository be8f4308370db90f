/* The gateway's one port: accepts, finishes TLS, looks at the first bytes and hands each connection to
 * SPICE or HTTP. Knows how many connections there are, and from where; drains. */
#pragma once
#include "gateway/edge/http.h"
#include "gateway/spice/session.h"

typedef struct {
  UsherLoop *loop;
  UsherPool *pool;
  UsherTls *tls;
  UsherHttpContext *http; /* `draining` is set here */
  const UsherSpiceContext *spice;
  UsherAddress listen;
  guint connections_max, connections_per_address;
  guint handshake_ms;     /* TLS and the first bytes */
} UsherServerOptions;

typedef struct _UsherServer UsherServer;

/* Listens at once. Copies `options`; what they point to outlives the server. */
UsherServer *usher_server_new (const UsherServerOptions *options, GError **error);

guint usher_server_port (const UsherServer *server);

typedef void (*UsherServerDrained) (gpointer user_data);

/* Stops listening, closes what idles, and lets requests and sessions go on for `ms`; then ends them.
 * `drained` is called once nothing is left. A second call ends all at once. */
void usher_server_drain (UsherServer *server, guint ms, UsherServerDrained drained, gpointer user_data);

void usher_server_free (UsherServer *server);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherServer, usher_server_free)
