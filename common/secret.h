/* A secret (password, key, VM secret) that cannot be logged by accident and is zeroed when freed.
 * Its memory is locked and guarded (libsodium's sodium_malloc). */
#pragma once
#include <glib.h>

typedef struct _UsherSecret UsherSecret;

/* Copies `length` bytes; a NUL is added behind them. The caller still owns (and should zero) the source. */
UsherSecret *usher_secret_new (const void *bytes, gsize length);

/* As usher_secret_new() of a string; NULL gives NULL. */
UsherSecret *usher_secret_new_string (const char *text);

/* Copies `text`, then overwrites it with zeros: for a string that came in a request. */
UsherSecret *usher_secret_take_string (char *text);

/* A fresh token (see usher_token_new) as a secret. */
UsherSecret *usher_secret_new_token (void);

/* Reads a whole file (at most 64 KiB); one trailing newline is removed. Errors name the path. */
UsherSecret *usher_secret_read_file (const char *path, GError **error);

/* Borrowed, NUL-terminated; valid while the secret lives. */
const char *usher_secret_peek (const UsherSecret *secret);
gsize usher_secret_length (const UsherSecret *secret);

/* Constant-time comparison of contents. NULL equals nothing. */
gboolean usher_secret_equal (const UsherSecret *a, const UsherSecret *b);

void usher_secret_free (UsherSecret *secret);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherSecret, usher_secret_free)
