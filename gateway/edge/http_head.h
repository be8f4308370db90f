/* The heads of HTTP/1 messages as the gateway passes them: checked line by line, then parsed by libsoup,
 * then written anew. What two parsers could read differently is refused, so nothing can be smuggled. */
#pragma once
#include <glib.h>

#define USHER_HTTP_HEAD_MAX 16384
#define USHER_HTTP_LINES_MAX 100
#define USHER_HTTP_BODY_MAX (1024 * 1024)

/* Bytes of the head with its empty line, 0 when that has not come yet. */
gsize usher_http_head_length (const guint8 *bytes, gsize length);

/* --- requests ---------------------------------------------------------------------------------- */

typedef struct _UsherHttpRequest UsherHttpRequest;

/* Parses a whole head of untrusted bytes. NULL with *out_status (400, 405, 413, 417, 431, 505) and *error. */
UsherHttpRequest *usher_http_request_parse (const guint8 *head, gsize length, guint *out_status, GError **error);

const char *usher_http_request_method (const UsherHttpRequest *request);
const char *usher_http_request_target (const UsherHttpRequest *request); /* begins with '/' */
guint64 usher_http_request_body_length (const UsherHttpRequest *request);
gboolean usher_http_request_keep_alive (const UsherHttpRequest *request);
gboolean usher_http_request_expects_continue (const UsherHttpRequest *request);
gboolean usher_http_request_is_head (const UsherHttpRequest *request);

/* Whether a header is there, once or more. */
gboolean usher_http_request_has (const UsherHttpRequest *request, const char *name);

/* A header's value when it is there exactly once, else NULL; borrowed. */
const char *usher_http_request_header (const UsherHttpRequest *request, const char *name);

/* Whether `token` is among a header's comma-separated words. */
gboolean usher_http_request_has_token (const UsherHttpRequest *request, const char *name, const char *token);

/* The head for the broker: what may pass, with X-Usher-Client and X-Usher-Request set. Owned by the caller. */
char *usher_http_request_rewrite (const UsherHttpRequest *request, const char *client_address, const char *request_id);

void usher_http_request_free (UsherHttpRequest *request);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherHttpRequest, usher_http_request_free)

/* --- responses --------------------------------------------------------------------------------- */

typedef enum { USHER_HTTP_FRAME_NONE, USHER_HTTP_FRAME_LENGTH, USHER_HTTP_FRAME_CHUNKED, USHER_HTTP_FRAME_CLOSE } UsherHttpFraming;

typedef struct {
  guint status;
  UsherHttpFraming framing;
  guint64 length;      /* FRAME_LENGTH */
  gboolean keep_alive; /* the broker's connection may be used again */
  char *rewritten;     /* the head for the client */
} UsherHttpResponse;

/* Parses the broker's whole head, as the answer to `request`, and writes the client's: hop-by-hop headers
 * out, HSTS in, "Connection: close" when `close` or when the framing needs it. NULL with *error. A 1xx
 * status comes back with framing NONE and nothing rewritten. */
UsherHttpResponse *usher_http_response_parse (const guint8 *head, gsize length, const UsherHttpRequest *request,
                                              gboolean close, GError **error);
void usher_http_response_free (UsherHttpResponse *response);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherHttpResponse, usher_http_response_free)

/* A whole response of the gateway's own: the error document of docs/protocols.md. Owned by the caller. */
char *usher_http_error_response (guint status, const char *code, const char *message, const char *request_id,
                                 gboolean with_body, gboolean close);
