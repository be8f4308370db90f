/* A sealed grant from outside. The key of the input's first seal is known here, so that what lies behind
 * the signature is reached too: the input is also sealed as it is. */
#include <sodium.h>
#include <string.h>
#include "common/rpc/grant.h"
#include "tests/fuzz/fuzz.h"

static const unsigned char seed[crypto_sign_SEEDBYTES] = "a key for the fuzzer only";

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  unsigned char public_key[USHER_GRANT_PUBLIC_KEY_SIZE], secret_key[USHER_GRANT_SECRET_KEY_SIZE];
  UsherGrant grant;
  crypto_sign_seed_keypair (public_key, secret_key, seed);
  g_autoptr (GError) error = NULL;
  const gboolean forged = usher_grant_open ((const char *) data, size, public_key, "h", 0, &grant, &error);
  g_assert_false (forged);
  g_assert_nonnull (error);
  if (size > USHER_GRANT_MAX)
    return 0;
  g_autofree unsigned char *sealed = g_malloc (size + crypto_sign_BYTES);
  crypto_sign (sealed, NULL, data, size, secret_key);
  const size_t text_size = sodium_base64_ENCODED_LEN (size + crypto_sign_BYTES, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
  g_autofree char *text = g_malloc (text_size);
  sodium_bin2base64 (text, text_size, sealed, size + crypto_sign_BYTES, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
  usher_grant_open (text, strlen (text), public_key, "22222222-2222-4222-8222-222222222222", 0, &grant, NULL);
  usher_grant_peek (text, &grant, NULL);
  return 0;
}
