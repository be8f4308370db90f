/* The key that console secrets (a desktop's SPICE password) are encrypted with at rest: libsodium secretbox.
 * All brokers of a deployment share the file keys/console.key: one line of base64url, 32 bytes, mode 0600. */
#pragma once
#include "common/secret.h"

typedef struct _UsherConsoleKey UsherConsoleKey;

/* Reads DIR/console.key; makes it when it is not there (two makers at once end with one key). The key is
 * read only afterwards: any thread. */
UsherConsoleKey *usher_console_key_open (const char *dir, GError **error);

/* A nonce and the sealed secret. */
GBytes *usher_console_key_seal (const UsherConsoleKey *key, const UsherSecret *secret);

/* UNAVAILABLE when it was sealed by another key or is damaged. */
UsherSecret *usher_console_key_unseal (const UsherConsoleKey *key, const guint8 *sealed, gsize length, GError **error);

/* As usher_console_key_unseal() into ordinary memory, for a message with the secrets of a whole host: locked pages
 * cost some ten system calls each. Owned by the caller, who zeroes it. */
char *usher_console_key_unseal_text (const UsherConsoleKey *key, const guint8 *sealed, gsize length, GError **error);

void usher_console_key_free (UsherConsoleKey *key);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherConsoleKey, usher_console_key_free)
