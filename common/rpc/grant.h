/* A grant: the broker's signed word that a gateway may reach one service of one desktop, for a while.
 * The broker seals it (Ed25519, libsodium crypto_sign), the gateway carries it unread, the door opens it. */
#pragma once
#include <glib.h>
#include "common/id.h"

#define USHER_GRANT_MAX 1024 /* bytes of a sealed grant, at most */
#define USHER_GRANT_SECRET_KEY_SIZE 64
#define USHER_GRANT_PUBLIC_KEY_SIZE 32

typedef enum { USHER_SERVICE_SPICE = 1, USHER_SERVICE_RDP = 2 } UsherService;

typedef struct {
  char desktop[USHER_ID_SIZE];
  char host[USHER_ID_SIZE];
  char session[USHER_ID_SIZE];
  UsherService service;
  gint64 expires_at; /* Unix seconds */
} UsherGrant;

/* Base64url text: signature (64 bytes) followed by compact JSON
 * {"desktop","host","session","service":"spice"|"rdp","expires_at"}. Owned by the caller. */
char *usher_grant_seal (const UsherGrant *grant, const unsigned char secret_key[USHER_GRANT_SECRET_KEY_SIZE]);

/* Opens untrusted bytes. INVALID: malformed or oversized; REFUSED: wrong signature, another host than
 * `host`, or expired at `now_s`. *out is untouched on failure. */
gboolean usher_grant_open (const char *sealed, gsize length, const unsigned char public_key[USHER_GRANT_PUBLIC_KEY_SIZE],
                           const char *host, gint64 now_s, UsherGrant *out, GError **error);

/* Reads what a grant says without checking its signature: for the gateway, which has it from the broker
 * itself and wants the name of the host whose door it will knock at. INVALID: malformed or oversized. */
gboolean usher_grant_peek (const char *sealed, UsherGrant *out, GError **error);

/* Makes a key pair and writes DIR/grant.key (0600) and DIR/grant.pub (0644), base64url, unless they are
 * there; reads them. Any out parameter may be NULL. */
gboolean usher_grant_keys_open (const char *dir, unsigned char out_secret[USHER_GRANT_SECRET_KEY_SIZE],
                                unsigned char out_public[USHER_GRANT_PUBLIC_KEY_SIZE], GError **error);

/* Reads a public key: one line of base64url. */
gboolean usher_grant_public_key_parse (const char *text, unsigned char out[USHER_GRANT_PUBLIC_KEY_SIZE], GError **error);
