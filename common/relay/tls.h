/* TLS 1.2 and 1.3 by OpenSSL, as streams on sockets. OpenSSL's headers stay in this folder. */
#pragma once
#include <glib.h>
#include "common/relay/loop.h"
#include "common/relay/stream.h"

typedef struct _UsherTls UsherTls;

typedef struct {
  const char *certificate; /* PEM chain; NULL for a client that shows none */
  const char *key;         /* PEM */
  const char *ca;          /* PEM; a server with it asks for and verifies clients, a client verifies the server */
  gboolean alpn_http1;     /* a server: choose "http/1.1" when the client offers protocols */
} UsherTlsFiles;

/* Errors name the file. `files` is read now and not kept. */
UsherTls *usher_tls_new_server (const UsherTlsFiles *files, GError **error);
UsherTls *usher_tls_new_client (const UsherTlsFiles *files, GError **error);
void usher_tls_free (UsherTls *tls);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherTls, usher_tls_free)

/* A stream that owns `fd`; the handshake happens as it is read and written. A client checks that the
 * certificate is for `peer` (a name or an address; NULL: any that the CA signed). */
UsherStream *usher_tls_stream_new (UsherTls *tls, UsherLoop *loop, int fd, const char *peer, GError **error);

/* Pushes the handshake: 0 done, AGAIN, FAILED. Only for streams made here. */
gssize usher_tls_stream_handshake (UsherStream *stream);

/* "TLSv1.3", after the handshake; static. */
const char *usher_tls_stream_version (UsherStream *stream);
