/* The RSA of SPICE's link stage: a 1024-bit key a link, OAEP with SHA-1 (the protocol's own choice; what
 * it carries is already inside TLS or a host's loopback). Here because OpenSSL's headers live here. */
#pragma once
#include <glib.h>
#include "common/secret.h"

#define USHER_LINK_KEY_DER_SIZE 162 /* SubjectPublicKeyInfo of a 1024-bit key */
#define USHER_LINK_CIPHER_SIZE 128

typedef struct _UsherLinkKey UsherLinkKey;

/* Takes some ten milliseconds: not on a loop. NULL with *error when OpenSSL refuses (FIPS). */
UsherLinkKey *usher_link_key_new (GError **error);

/* The public half, DER; borrowed. */
const guint8 *usher_link_key_der (const UsherLinkKey *key);

/* Decrypts a password and its NUL. NULL when it is not one; no error says why, on purpose. */
UsherSecret *usher_link_key_decrypt (const UsherLinkKey *key, const guint8 cipher[USHER_LINK_CIPHER_SIZE]);

/* Thread-safe. */
UsherLinkKey *usher_link_key_ref (UsherLinkKey *key);
void usher_link_key_unref (UsherLinkKey *key);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherLinkKey, usher_link_key_unref)

/* Encrypts `password` and its NUL for the holder of the DER key. INVALID when that is no 1024-bit RSA key,
 * or the password is over 60 characters. */
gboolean usher_link_key_encrypt (const guint8 der[USHER_LINK_KEY_DER_SIZE], const UsherSecret *password,
                                 guint8 out[USHER_LINK_CIPHER_SIZE], GError **error);
