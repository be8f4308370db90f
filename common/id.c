#include "common/id.h"

#include <sodium.h>
#include <string.h>

char *
usher_id_new (void)
{
  return g_uuid_string_random ();
}

gboolean
usher_id_is_valid (const char *text)
{
  if (text == NULL || strnlen (text, USHER_ID_SIZE) != USHER_ID_SIZE - 1)
    return FALSE;
  for (int i = 0; i < USHER_ID_SIZE - 1; i++)
    {
      gboolean dash = i == 8 || i == 13 || i == 18 || i == 23;
      gboolean hex = g_ascii_isdigit (text[i]) || (text[i] >= 'a' && text[i] <= 'f');
      if (dash ? text[i] != '-' : !hex)
        return FALSE;
    }
  return TRUE;
}

void
usher_token_new (char out[USHER_TOKEN_SIZE])
{
  unsigned char bytes[32];
  randombytes_buf (bytes, sizeof bytes);
  sodium_bin2base64 (out, USHER_TOKEN_SIZE, bytes, sizeof bytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
  sodium_memzero (bytes, sizeof bytes);
}

gboolean
usher_token_is_valid (const char *text)
{
  if (text == NULL || strnlen (text, USHER_TOKEN_SIZE) != USHER_TOKEN_SIZE - 1)
    return FALSE;
  for (int i = 0; i < USHER_TOKEN_SIZE - 1; i++)
    if (!g_ascii_isalnum (text[i]) && text[i] != '-' && text[i] != '_')
      return FALSE;
  return TRUE;
}

void
usher_token_hash (const char *token, char out[USHER_TOKEN_HASH_SIZE])
{
  unsigned char digest[32];
  crypto_generichash (digest, sizeof digest, (const unsigned char *) token, strlen (token), NULL, 0);
  sodium_bin2hex (out, USHER_TOKEN_HASH_SIZE, digest, sizeof digest);
}
