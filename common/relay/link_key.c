#include "common/relay/link_key.h"
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <string.h>
#include "common/error.h"

#define PASSWORD_MAX 60

G_DEFINE_AUTOPTR_CLEANUP_FUNC (EVP_PKEY, EVP_PKEY_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (EVP_PKEY_CTX, EVP_PKEY_CTX_free)

struct _UsherLinkKey {
  EVP_PKEY *key;
  guint8 der[USHER_LINK_KEY_DER_SIZE];
};

static gboolean
key_error (GError **error, UsherError code, const char *what)
{
  char text[256] = "";
  const unsigned long reason = ERR_get_error ();
  if (reason != 0)
    ERR_error_string_n (reason, text, sizeof text);
  ERR_clear_error ();
  g_set_error (error, USHER_ERROR, code, "SPICE link key: %s%s%s", what, text[0] != '\0' ? ": " : "", text);
  return FALSE;
}

UsherLinkKey *
usher_link_key_new (GError **error)
{
  g_autoptr (UsherLinkKey) key = g_atomic_rc_box_new0 (UsherLinkKey);
  key->key = EVP_RSA_gen (1024);
  if (key->key == NULL)
    return key_error (error, USHER_ERROR_UNAVAILABLE, "no 1024-bit RSA key"), NULL;
  guint8 *end = key->der;
  if (i2d_PUBKEY (key->key, NULL) != USHER_LINK_KEY_DER_SIZE || i2d_PUBKEY (key->key, &end) != USHER_LINK_KEY_DER_SIZE)
    return key_error (error, USHER_ERROR_INTERNAL, "its DER form has another size than 162 bytes"), NULL;
  return g_steal_pointer (&key);
}

const guint8 *
usher_link_key_der (const UsherLinkKey *key)
{
  return key->der;
}

UsherLinkKey *
usher_link_key_ref (UsherLinkKey *key)
{
  return g_atomic_rc_box_acquire (key);
}

static void
clear_key (gpointer data)
{
  EVP_PKEY_free (((UsherLinkKey *) data)->key);
}

void
usher_link_key_unref (UsherLinkKey *key)
{
  if (key != NULL)
    g_atomic_rc_box_release_full (key, clear_key);
}

UsherSecret *
usher_link_key_decrypt (const UsherLinkKey *key, const guint8 cipher[USHER_LINK_CIPHER_SIZE])
{
  guint8 plain[USHER_LINK_CIPHER_SIZE];
  size_t length = sizeof plain;
  UsherSecret *secret = NULL;
  g_autoptr (EVP_PKEY_CTX) context = EVP_PKEY_CTX_new (key->key, NULL);
  if (context != NULL && EVP_PKEY_decrypt_init (context) == 1
      && EVP_PKEY_CTX_set_rsa_padding (context, RSA_PKCS1_OAEP_PADDING) == 1
      && EVP_PKEY_decrypt (context, plain, &length, cipher, USHER_LINK_CIPHER_SIZE) == 1)
    secret = usher_secret_new (plain, strnlen ((const char *) plain, length));
  OPENSSL_cleanse (plain, sizeof plain);
  ERR_clear_error ();
  return secret;
}

gboolean
usher_link_key_encrypt (const guint8 der[USHER_LINK_KEY_DER_SIZE], const UsherSecret *password,
                        guint8 out[USHER_LINK_CIPHER_SIZE], GError **error)
{
  const guint8 *at = der;
  g_autoptr (EVP_PKEY) key = d2i_PUBKEY (NULL, &at, USHER_LINK_KEY_DER_SIZE);
  if (key == NULL || EVP_PKEY_get_base_id (key) != EVP_PKEY_RSA || EVP_PKEY_get_size (key) != USHER_LINK_CIPHER_SIZE)
    return key_error (error, USHER_ERROR_INVALID, "the desktop's key is not a 1024-bit RSA key");
  if (usher_secret_length (password) > PASSWORD_MAX)
    return key_error (error, USHER_ERROR_INVALID, "the password is over 60 characters");
  size_t length = USHER_LINK_CIPHER_SIZE;
  g_autoptr (EVP_PKEY_CTX) context = EVP_PKEY_CTX_new (key, NULL);
  if (context == NULL || EVP_PKEY_encrypt_init (context) != 1
      || EVP_PKEY_CTX_set_rsa_padding (context, RSA_PKCS1_OAEP_PADDING) != 1
      || EVP_PKEY_encrypt (context, out, &length, (const guint8 *) usher_secret_peek (password),
                           usher_secret_length (password) + 1)
             != 1)
    return key_error (error, USHER_ERROR_INTERNAL, "encryption failed");
  return TRUE;
}
