/* The gateway's (or, through the broker's unix socket, the broker's) HTTP API, one call at a time. */
#pragma once
#include <glib.h>
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

/* ("records", "pool", "a b", NULL) → "/records/pool/a%20b"; owned by the caller. */
char *usher_client_path (const char *first, ...) G_GNUC_NULL_TERMINATED;

void usher_client_free (UsherClient *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherClient, usher_client_free)
