/* The gateway's (or, through the broker's unix socket, the broker's) HTTP API, one call at a time. */
#pragma once
#include <gio/gio.h>
#include <jansson.h>

typedef struct _UsherClient UsherClient;

/* `server` is https://HOST[:PORT] or unix:/PATH of the broker's api socket. `ca_file` (may be NULL: the
 * system's) vouches for an https server. `token` is the sign-in session's, may be NULL. INVALID. */
UsherClient *usher_client_new (const char *server, const char *ca_file, const char *token, GError **error);

typedef struct {
  guint status;         /* HTTP, 2xx */
  json_t *body;         /* owned; NULL when it is not JSON or empty */
  char *text;           /* the body as it came; owned */
  char *token;          /* a new session's token out of Set-Cookie, or NULL; owned */
  guint retry_after_ms; /* 0: not said */
} UsherAnswer;

void usher_answer_clear (UsherAnswer *answer);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (UsherAnswer, usher_answer_clear)

/* Blocks for at most 60 s. `path` is below /api/v1 and begins with a slash, its parts escaped by
 * usher_client_path(). `body` may be NULL. An error answer becomes the error of its code, its reasons as
 * further lines of the message; no answer is UNAVAILABLE. *out_answer must be zero; retry_after_ms
 * is set on failure too. */
gboolean usher_client_call (UsherClient *client, const char *method, const char *path, const json_t *body,
                            UsherAnswer *out_answer, GError **error);

/* As usher_client_call() with PUT, the body octets as they are. Repeating it is the caller's business. */
gboolean usher_client_put (UsherClient *client, const char *path, GBytes *octets, UsherAnswer *out_answer, GError **error);

/* Takes a piece of what is downloaded; FALSE ends it with that error. */
typedef gboolean (*UsherClientSink) (const guint8 *data, gsize length, gpointer user_data, GError **error);

/* GET of the octets of `path` from `offset` on, handed to `sink` piece by piece. CONFLICT: the server does not give
 * it from there. Otherwise errors are as usher_client_call()'s. */
gboolean usher_client_download (UsherClient *client, const char *path, guint64 offset, UsherClientSink sink,
                                gpointer user_data, GError **error);

/* From now on calls end with G_IO_ERROR_CANCELLED when it is cancelled, and wait `timeout_s` for an answer (0: as before). */
void usher_client_watch (UsherClient *client, GCancellable *cancellable, guint timeout_s);

/* Whether it may go better a little later: no answer, or the server said so. */
gboolean usher_client_may_pass (const GError *error);

/* ("records", "pool", "a b", NULL) → "/records/pool/a%20b"; owned by the caller. */
char *usher_client_path (const char *first, ...) G_GNUC_NULL_TERMINATED;

void usher_client_free (UsherClient *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherClient, usher_client_free)
