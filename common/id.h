/* Identifiers (UUIDs) and secret tokens (256 bits, base64url). */
#pragma once
#include <glib.h>

#define USHER_ID_SIZE 37         /* a UUID's text and its NUL */
#define USHER_TOKEN_SIZE 44      /* 43 characters of base64url and the NUL */
#define USHER_TOKEN_HASH_SIZE 65 /* 64 hexadecimal digits and the NUL */

/* A fresh random (version 4) UUID in lower case; owned by the caller. */
char *usher_id_new (void);

/* Whether `text` is a UUID in its canonical lower-case form; NULL is not. Safe on untrusted text. */
gboolean usher_id_is_valid (const char *text);

/* Fills `out` with a fresh token of 256 random bits (libsodium), 43 characters of unpadded base64url. */
void usher_token_new (char out[USHER_TOKEN_SIZE]);

/* Whether `text` has the form of a token: exactly 43 base64url characters. Safe on untrusted text. */
gboolean usher_token_is_valid (const char *text);

/* What is stored of a token: its BLAKE2b-256 in hexadecimal. Tokens have full entropy, so no salt. */
void usher_token_hash (const char *token, char out[USHER_TOKEN_HASH_SIZE]);
