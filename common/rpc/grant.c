#include "common/rpc/grant.h"

#include <sodium.h>
#include <string.h>

#include "common/error.h"
#include "common/json.h"
#include "common/secret.h"

#define VARIANT sodium_base64_VARIANT_URLSAFE_NO_PADDING

static const char *const service_names[] = { [USHER_SERVICE_SPICE] = "spice", [USHER_SERVICE_RDP] = "rdp" };

/* ---- sealing ---- */

char *
usher_grant_seal (const UsherGrant *grant, const unsigned char secret_key[USHER_GRANT_SECRET_KEY_SIZE])
{
  json_auto_t *claim = json_pack ("{s:s, s:s, s:s, s:s, s:I}", "desktop", grant->desktop, "host", grant->host, "session",
                                  grant->session, "service", service_names[grant->service], "expires_at",
                                  (json_int_t) grant->expires_at);
  g_autofree char *line = usher_json_to_line (claim);
  gsize length = strlen (line), sealed_size = crypto_sign_BYTES + length;
  g_autofree unsigned char *sealed = g_malloc (sealed_size);
  crypto_sign (sealed, NULL, (const unsigned char *) line, length, secret_key);

  gsize text_size = sodium_base64_ENCODED_LEN (sealed_size, VARIANT);
  char *text = g_malloc (text_size);
  sodium_bin2base64 (text, text_size, sealed, sealed_size, VARIANT);
  return text;
}

/* ---- opening ---- */

static gboolean
read_claim (const json_t *claim, UsherGrant *out, GError **error)
{
  UsherJson at = { claim, "grant" };
  int service = 0;
  if (!usher_json_get_id (at, "desktop", out->desktop, error) || !usher_json_get_id (at, "host", out->host, error)
      || !usher_json_get_id (at, "session", out->session, error)
      || !usher_json_get_name (at, "service", service_names, G_N_ELEMENTS (service_names), &service, error)
      || !usher_json_get_int (at, "expires_at", 0, G_MAXINT64, &out->expires_at, error))
    return FALSE;
  out->service = service;
  return TRUE;
}

gboolean
usher_grant_open (const char *sealed, gsize length, const unsigned char public_key[USHER_GRANT_PUBLIC_KEY_SIZE],
                  const char *host, gint64 now_s, UsherGrant *out, GError **error)
{
  unsigned char bytes[USHER_GRANT_MAX], message[USHER_GRANT_MAX];
  size_t n_bytes = 0;
  unsigned long long n_message = 0;
  const char *end = NULL;
  UsherGrant grant = { 0 };

  if (length > USHER_GRANT_MAX
      || sodium_base642bin (bytes, sizeof bytes, sealed, length, NULL, &n_bytes, &end, VARIANT) != 0
      || end != sealed + length)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "grant: is not base64url of at most %d characters", USHER_GRANT_MAX);
      return FALSE;
    }
  if (crypto_sign_open (message, &n_message, bytes, n_bytes, public_key) != 0)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_REFUSED, "grant: the signature is not the broker's");
      return FALSE;
    }

  json_auto_t *claim = usher_json_parse ((const char *) message, n_message, "grant", error);
  if (claim == NULL || !read_claim (claim, &grant, error))
    return FALSE;
  if (!g_str_equal (grant.host, host) || grant.expires_at <= now_s)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_REFUSED, grant.expires_at <= now_s ? "grant: has expired" : "grant: is for another host");
      return FALSE;
    }
  *out = grant;
  return TRUE;
}

gboolean
usher_grant_peek (const char *sealed, UsherGrant *out, GError **error)
{
  unsigned char bytes[USHER_GRANT_MAX];
  size_t n_bytes = 0;
  UsherGrant grant = { 0 };
  if (strlen (sealed) > USHER_GRANT_MAX
      || sodium_base642bin (bytes, sizeof bytes, sealed, strlen (sealed), NULL, &n_bytes, NULL, VARIANT) != 0
      || n_bytes <= crypto_sign_BYTES)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "grant: is not base64url of at most %d characters", USHER_GRANT_MAX);
      return FALSE;
    }
  json_auto_t *claim
      = usher_json_parse ((const char *) bytes + crypto_sign_BYTES, n_bytes - crypto_sign_BYTES, "grant", error);
  if (claim == NULL || !read_claim (claim, &grant, error))
    return FALSE;
  *out = grant;
  return TRUE;
}

/* ---- keys ---- */

static gboolean
decode_key (const char *text, gsize length, unsigned char *out, gsize size)
{
  size_t got = 0;
  while (length > 0 && g_ascii_isspace (text[length - 1]))
    length--;
  const char *end = NULL;
  return sodium_base642bin (out, size, text, length, NULL, &got, &end, VARIANT) == 0 && got == size && end == text + length;
}

gboolean
usher_grant_public_key_parse (const char *text, unsigned char out[USHER_GRANT_PUBLIC_KEY_SIZE], GError **error)
{
  unsigned char key[USHER_GRANT_PUBLIC_KEY_SIZE];
  if (!decode_key (text, strlen (text), key, sizeof key))
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "grant key: is not %d bytes in base64url", USHER_GRANT_PUBLIC_KEY_SIZE);
      return FALSE;
    }
  memcpy (out, key, sizeof key);
  return TRUE;
}

static gboolean
write_key (const char *path, const unsigned char *key, gsize size, int mode, GError **error)
{
  char text[sodium_base64_ENCODED_LEN (USHER_GRANT_SECRET_KEY_SIZE, VARIANT)];
  sodium_bin2base64 (text, sizeof text, key, size, VARIANT);
  g_autoptr (GError) local = NULL;
  gboolean ok = g_file_set_contents_full (path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE, mode, &local);
  sodium_memzero (text, sizeof text);
  if (!ok)
    g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "%s", local->message);
  return ok;
}

/* The secret key holds the public one, so grant.key alone decides; grant.pub is made from it again. */
gboolean
usher_grant_keys_open (const char *dir, unsigned char out_secret[USHER_GRANT_SECRET_KEY_SIZE],
                       unsigned char out_public[USHER_GRANT_PUBLIC_KEY_SIZE], GError **error)
{
  g_autofree char *secret_path = g_build_filename (dir, "grant.key", NULL);
  g_autofree char *public_path = g_build_filename (dir, "grant.pub", NULL);
  unsigned char secret[USHER_GRANT_SECRET_KEY_SIZE], public[USHER_GRANT_PUBLIC_KEY_SIZE];
  g_autoptr (GError) local = NULL;
  g_autoptr (UsherSecret) text = usher_secret_read_file (secret_path, &local);

  if (text == NULL && !g_error_matches (local, USHER_ERROR, USHER_ERROR_MISSING))
    {
      g_propagate_error (error, g_steal_pointer (&local));
      return FALSE;
    }
  if (text == NULL)
    {
      crypto_sign_keypair (public, secret);
      if (!write_key (secret_path, secret, sizeof secret, 0600, error))
        return FALSE;
    }
  else if (!decode_key (usher_secret_peek (text), usher_secret_length (text), secret, sizeof secret))
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "%s: is not a grant key", secret_path);
      return FALSE;
    }
  crypto_sign_ed25519_sk_to_pk (public, secret);
  if (!g_file_test (public_path, G_FILE_TEST_EXISTS) && !write_key (public_path, public, sizeof public, 0644, error))
    return FALSE;

  if (out_secret != NULL)
    memcpy (out_secret, secret, sizeof secret);
  if (out_public != NULL)
    memcpy (out_public, public, sizeof public);
  sodium_memzero (secret, sizeof secret);
  return TRUE;
}
