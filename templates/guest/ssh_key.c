#include "templates/guest/ssh_key.h"

#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define KIND "ssh-ed25519"
#define MAGIC "openssh-key-v1" /* its NUL is part of it */
#define LINE 70                /* characters of base64 in a line */

typedef struct {
  unsigned char octets[512];
  size_t length;
} Blob;

static void
put (Blob *blob, const void *octets, size_t length)
{
  memcpy (blob->octets + blob->length, octets, length);
  blob->length += length;
}

static void
put_number (Blob *blob, uint32_t number)
{
  put (blob, (unsigned char[]) { number >> 24 & 255, number >> 16 & 255, number >> 8 & 255, number & 255 }, 4);
}

static void
put_string (Blob *blob, const void *octets, size_t length)
{
  put_number (blob, (uint32_t) length);
  put (blob, octets, length);
}

static void
put_public (Blob *blob, const unsigned char *public)
{
  put_string (blob, KIND, strlen (KIND));
  put_string (blob, public, crypto_sign_PUBLICKEYBYTES);
}

/* What would be encrypted if it were. */
static void
put_secret (Blob *blob, const unsigned char *public, const unsigned char *secret, const char *comment)
{
  uint32_t check = randombytes_random ();
  put_number (blob, check);
  put_number (blob, check);
  put_public (blob, public);
  put_string (blob, secret, crypto_sign_SECRETKEYBYTES);
  put_string (blob, comment, strlen (comment));
  for (unsigned char pad = 1; blob->length % 8 != 0; pad++)
    put (blob, &pad, 1);
}

static void
write_private (const Blob *all, char out[USHER_SSH_KEY_SIZE])
{
  char text[USHER_SSH_KEY_SIZE];
  size_t length = (size_t) snprintf (out, USHER_SSH_KEY_SIZE, "-----BEGIN OPENSSH PRIVATE KEY-----\n");
  sodium_bin2base64 (text, sizeof text, all->octets, all->length, sodium_base64_VARIANT_ORIGINAL);
  for (const char *line = text; *line != '\0'; line += strnlen (line, LINE))
    length += (size_t) snprintf (out + length, USHER_SSH_KEY_SIZE - length, "%.*s\n", LINE, line);
  snprintf (out + length, USHER_SSH_KEY_SIZE - length, "-----END OPENSSH PRIVATE KEY-----\n");
  sodium_memzero (text, sizeof text);
}

void
usher_ssh_key_make (const char *comment, char out_private[USHER_SSH_KEY_SIZE], char out_public[USHER_SSH_PUBLIC_SIZE])
{
  unsigned char public[crypto_sign_PUBLICKEYBYTES], secret[crypto_sign_SECRETKEYBYTES];
  Blob identity = { .length = 0 }, hidden = { .length = 0 }, all = { .length = 0 };
  char text[128];
  crypto_sign_keypair (public, secret);
  put_public (&identity, public);
  put_secret (&hidden, public, secret, comment);

  put (&all, MAGIC, sizeof MAGIC);
  put_string (&all, "none", 4); /* cipher */
  put_string (&all, "none", 4); /* key derivation, and its options */
  put_string (&all, "", 0);
  put_number (&all, 1); /* how many keys */
  put_string (&all, identity.octets, identity.length);
  put_string (&all, hidden.octets, hidden.length);
  write_private (&all, out_private);

  sodium_bin2base64 (text, sizeof text, identity.octets, identity.length, sodium_base64_VARIANT_ORIGINAL);
  snprintf (out_public, USHER_SSH_PUBLIC_SIZE, KIND " %s %s\n", text, comment);
  sodium_memzero (secret, sizeof secret);
  sodium_memzero (&hidden, sizeof hidden);
  sodium_memzero (&all, sizeof all);
}
