#include "common/relay/tls.h"
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <unistd.h>
#include "common/error.h"

/* Forward secrecy and AEAD only. */
#define TLS12_CIPHERS "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!eNULL"

struct _UsherTls {
  SSL_CTX *context;
  gboolean server;
};

/* The oldest waiting error of this thread as text; empties the queue. */
static char *
take_errors (void)
{
  char text[256] = "unknown error";
  const unsigned long code = ERR_get_error ();
  if (code != 0)
    ERR_error_string_n (code, text, sizeof text);
  ERR_clear_error ();
  return g_strdup (text);
}

static gboolean
tls_error (GError **error, const char *what, const char *file)
{
  g_autofree char *text = take_errors ();
  g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "TLS: %s %s: %s", what, file != NULL ? file : "", text);
  return FALSE;
}

static gboolean
load_files (SSL_CTX *context, const UsherTlsFiles *files, GError **error)
{
  if (files->certificate != NULL && SSL_CTX_use_certificate_chain_file (context, files->certificate) != 1)
    return tls_error (error, "certificate", files->certificate);
  if (files->certificate != NULL && SSL_CTX_use_PrivateKey_file (context, files->key, SSL_FILETYPE_PEM) != 1)
    return tls_error (error, "key", files->key);
  if (files->certificate != NULL && SSL_CTX_check_private_key (context) != 1)
    return tls_error (error, "the key does not belong to certificate", files->certificate);
  if (files->ca != NULL && SSL_CTX_load_verify_locations (context, files->ca, NULL) != 1)
    return tls_error (error, "CA", files->ca);
  return TRUE;
}

static int
choose_alpn (SSL *ssl, const unsigned char **out, unsigned char *out_length, const unsigned char *in,
             unsigned int in_length, void *user_data)
{
  static const unsigned char ours[] = "\x08http/1.1";
  unsigned char *chosen = NULL;
  if (SSL_select_next_proto (&chosen, out_length, ours, sizeof ours - 1, in, in_length) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_NOACK; /* a SPICE client may offer anything or nothing */
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

static UsherTls *
tls_new (gboolean server, const UsherTlsFiles *files, GError **error)
{
  g_autoptr (UsherTls) tls = g_new0 (UsherTls, 1);
  tls->server = server;
  tls->context = SSL_CTX_new (server ? TLS_server_method () : TLS_client_method ());
  if (tls->context == NULL)
    return tls_error (error, "context", NULL), NULL;
  SSL_CTX *context = tls->context;
  SSL_CTX_set_min_proto_version (context, TLS1_2_VERSION);
  SSL_CTX_set_cipher_list (context, TLS12_CIPHERS);
  /* Renegotiation is refused; a peer that just closes its socket has simply ended. */
  SSL_CTX_set_options (context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE
                                    | SSL_OP_IGNORE_UNEXPECTED_EOF);
  /* An idle connection gives its record buffers back. */
  SSL_CTX_set_mode (context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  if (!load_files (context, files, error))
    return NULL;
  if (files->ca != NULL)
    SSL_CTX_set_verify (context, SSL_VERIFY_PEER | (server ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
  if (server)
    {
      /* Tickets carry sessions; nothing is cached here. The context id is needed with client certificates. */
      SSL_CTX_set_session_cache_mode (context, SSL_SESS_CACHE_OFF);
      SSL_CTX_set_session_id_context (context, (const unsigned char *) "usher", 5);
      SSL_CTX_set_num_tickets (context, 1);
    }
  if (files->alpn_http1)
    SSL_CTX_set_alpn_select_cb (context, choose_alpn, NULL);
  return g_steal_pointer (&tls);
}

UsherTls *
usher_tls_new_server (const UsherTlsFiles *files, GError **error)
{
  return tls_new (TRUE, files, error);
}

UsherTls *
usher_tls_new_client (const UsherTlsFiles *files, GError **error)
{
  return tls_new (FALSE, files, error);
}

void
usher_tls_free (UsherTls *tls)
{
  if (tls == NULL)
    return;
  SSL_CTX_free (tls->context);
  g_free (tls);
}

/* --- the stream -------------------------------------------------------------------------------- */

typedef struct {
  UsherStream base;
  UsherWatch *watch;
  SSL *ssl;
  int fd;
} TlsStream;

/* What OpenSSL's last call on `self` meant; r <= 0. */
static gssize
tls_result (TlsStream *self, int r, const char *what)
{
  const int saved_errno = errno;
  switch (SSL_get_error (self->ssl, r))
    {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return USHER_IO_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
      return USHER_IO_END;
    case SSL_ERROR_SYSCALL:
      ERR_clear_error ();
      return usher_stream_fail (&self->base, "%s: %s", what, saved_errno != 0 ? g_strerror (saved_errno) : "connection lost");
    default:
      {
        const long verified = SSL_get_verify_result (self->ssl);
        g_autofree char *text = take_errors ();
        if (verified != X509_V_OK)
          return usher_stream_fail (&self->base, "%s: certificate: %s", what, X509_verify_cert_error_string (verified));
        return usher_stream_fail (&self->base, "%s: %s", what, text);
      }
    }
}

static gssize
tls_read (UsherStream *stream, guint8 *bytes, gsize length)
{
  TlsStream *self = (TlsStream *) stream;
  ERR_clear_error ();
  errno = 0;
  const int n = SSL_read (self->ssl, bytes, (int) MIN (length, G_MAXINT));
  return n > 0 ? n : tls_result (self, n, "TLS read");
}

static gssize
tls_write (UsherStream *stream, const guint8 *bytes, gsize length)
{
  TlsStream *self = (TlsStream *) stream;
  if (length == 0)
    return USHER_IO_AGAIN;
  ERR_clear_error ();
  errno = 0;
  const int n = SSL_write (self->ssl, bytes, (int) MIN (length, G_MAXINT));
  if (n > 0)
    return n;
  const gssize result = tls_result (self, n, "TLS write");
  return result == USHER_IO_END ? usher_stream_fail (stream, "TLS write: closed by the peer") : result;
}

static gssize
tls_finish (UsherStream *stream)
{
  TlsStream *self = (TlsStream *) stream;
  ERR_clear_error ();
  errno = 0;
  if (!SSL_is_init_finished (self->ssl))
    return 0; /* nothing to say goodbye to */
  /* 0: our close_notify is out, the peer's is not here yet; that is all a half-close wants. */
  const int r = SSL_shutdown (self->ssl);
  if (r >= 0)
    return 0;
  const gssize result = tls_result (self, r, "TLS close");
  return result == USHER_IO_END ? 0 : result;
}

static void
tls_stream_free (UsherStream *stream)
{
  TlsStream *self = (TlsStream *) stream;
  usher_watch_free (self->watch);
  SSL_free (self->ssl);
  close (self->fd);
  g_free (self);
}

static const UsherStreamClass tls_class = {
  .name = "TLS",
  .read = tls_read,
  .write = tls_write,
  .finish = tls_finish,
  .free = tls_stream_free,
};

static void
tls_ready (gpointer user_data)
{
  UsherStream *stream = user_data;
  if (stream->ready != NULL)
    stream->ready (stream->user_data);
}

static gboolean
expect_peer (SSL *ssl, const char *peer)
{
  X509_VERIFY_PARAM *parameters = SSL_get0_param (ssl);
  if (X509_VERIFY_PARAM_set1_ip_asc (parameters, peer) == 1)
    return TRUE;
  ERR_clear_error ();
  SSL_set_tlsext_host_name (ssl, peer);
  return SSL_set1_host (ssl, peer) == 1;
}

UsherStream *
usher_tls_stream_new (UsherTls *tls, UsherLoop *loop, int fd, const char *peer, GError **error)
{
  TlsStream *self = g_new0 (TlsStream, 1);
  self->base.klass = &tls_class;
  self->fd = fd;
  self->ssl = SSL_new (tls->context);
  gboolean ok = self->ssl != NULL && SSL_set_fd (self->ssl, fd) == 1;
  if (ok && tls->server)
    SSL_set_accept_state (self->ssl);
  else if (ok)
    SSL_set_connect_state (self->ssl);
  if (ok && !tls->server && peer != NULL)
    ok = expect_peer (self->ssl, peer);
  if (!ok)
    tls_error (error, "new connection", NULL);
  else
    self->watch = usher_watch_new (loop, fd, tls_ready, self, error);
  if (self->watch != NULL)
    return &self->base;
  tls_stream_free (&self->base);
  return NULL;
}

gssize
usher_tls_stream_handshake (UsherStream *stream)
{
  TlsStream *self = (TlsStream *) stream;
  ERR_clear_error ();
  errno = 0;
  const int r = SSL_do_handshake (self->ssl);
  if (r == 1)
    return 0;
  const gssize result = tls_result (self, r, "TLS handshake");
  return result == USHER_IO_END ? usher_stream_fail (stream, "TLS handshake: closed by the peer") : result;
}

const char *
usher_tls_stream_version (UsherStream *stream)
{
  return SSL_get_version (((TlsStream *) stream)->ssl);
}
