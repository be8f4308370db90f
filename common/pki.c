#include "common/pki.h"
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>
#include "common/error.h"
#include "common/id.h"

struct _UsherCa {
  X509 *certificate;
  EVP_PKEY *key;
  char *pem;
  char pem_hash[USHER_FINGERPRINT_SIZE];
};

G_DEFINE_AUTOPTR_CLEANUP_FUNC (X509, X509_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (X509_REQ, X509_REQ_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (X509_NAME, X509_NAME_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (EVP_PKEY, EVP_PKEY_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BIO, BIO_free_all)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (BIGNUM, BN_free)

/* Sets *error to `what` and OpenSSL's newest reason; always FALSE. */
static gboolean
fail (GError **error, UsherError code, const char *what)
{
  unsigned long reason = ERR_peek_last_error ();
  const char *text = reason != 0 ? ERR_reason_error_string (reason) : NULL;
  g_set_error (error, USHER_ERROR, code, text != NULL ? "%s: %s" : "%s", what, text);
  ERR_clear_error ();
  return FALSE;
}

static char *
bio_to_string (BIO *bio)
{
  char *bytes = NULL;
  long length = BIO_get_mem_data (bio, &bytes);
  return g_strndup (bytes, (gsize) MAX (length, 0));
}

static char *
certificate_to_pem (X509 *certificate)
{
  g_autoptr (BIO) bio = BIO_new (BIO_s_mem ());
  if (bio == NULL || PEM_write_bio_X509 (bio, certificate) != 1)
    return NULL;
  return bio_to_string (bio);
}

static X509 *
certificate_from_pem (const char *pem, const char *what, GError **error)
{
  gsize length = pem != NULL ? strlen (pem) : 0;
  if (length == 0 || length > USHER_PEM_MAX)
    return g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "%s: no certificate (PEM) of at most %d bytes", what,
                        USHER_PEM_MAX), NULL;
  g_autoptr (BIO) bio = BIO_new_mem_buf (pem, (int) length);
  X509 *certificate = PEM_read_bio_X509 (bio, NULL, NULL, NULL);
  if (certificate == NULL)
    fail (error, USHER_ERROR_INVALID, what);
  return certificate;
}

static gboolean
certificate_fingerprint (const X509 *certificate, char out[USHER_FINGERPRINT_SIZE])
{
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  if (X509_digest (certificate, EVP_sha256 (), digest, &length) != 1)
    return FALSE;
  for (unsigned i = 0; i < length && 2 * i + 2 < USHER_FINGERPRINT_SIZE; i++)
    g_snprintf (out + 2 * i, 3, "%02x", digest[i]);
  return TRUE;
}

static void
hash_text (const char *text, char out[USHER_FINGERPRINT_SIZE])
{
  g_autofree char *hash = g_compute_checksum_for_string (G_CHECKSUM_SHA256, text, -1);
  g_strlcpy (out, hash, USHER_FINGERPRINT_SIZE);
}

/* PEM_read_… would ask for a pass phrase on the terminal; an encrypted key is refused instead. */
static int
no_pass_phrase (char *buffer, int size, int writing, void *user_data)
{
  return -1;
}

UsherCa *
usher_ca_open (const char *certificate_path, const char *key_path, GError **error)
{
  g_autofree char *text = NULL;
  g_autoptr (GError) local = NULL;
  if (!g_file_get_contents (certificate_path, &text, NULL, &local))
    return g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "CA certificate: %s", local->message), NULL;
  g_autoptr (UsherCa) ca = g_new0 (UsherCa, 1);
  ca->certificate = certificate_from_pem (text, certificate_path, error);
  if (ca->certificate == NULL)
    return NULL;
  g_autoptr (BIO) bio = BIO_new_file (key_path, "r");
  if (bio != NULL)
    ca->key = PEM_read_bio_PrivateKey (bio, NULL, no_pass_phrase, NULL);
  if (ca->key == NULL)
    return fail (error, USHER_ERROR_INVALID, key_path), NULL;
  if (X509_check_private_key (ca->certificate, ca->key) != 1)
    return fail (error, USHER_ERROR_INVALID, "the CA's key is not its certificate's"), NULL;
  ca->pem = certificate_to_pem (ca->certificate);
  if (ca->pem == NULL)
    return fail (error, USHER_ERROR_INTERNAL, "writing the CA certificate"), NULL;
  hash_text (ca->pem, ca->pem_hash);
  return g_steal_pointer (&ca);
}

const char *
usher_ca_get_pem (const UsherCa *ca)
{
  return ca->pem;
}

const char *
usher_ca_get_pem_hash (const UsherCa *ca)
{
  return ca->pem_hash;
}

void
usher_ca_free (UsherCa *ca)
{
  if (ca == NULL)
    return;
  X509_free (ca->certificate);
  EVP_PKEY_free (ca->key);
  g_free (ca->pem);
  g_free (ca);
}

static gboolean
key_is_good (EVP_PKEY *key)
{
  int bits = EVP_PKEY_get_bits (key);
  if (EVP_PKEY_is_a (key, "RSA"))
    return bits >= 2048 && bits <= 8192;
  if (EVP_PKEY_is_a (key, "ED25519"))
    return TRUE;
  char group[32] = "";
  return EVP_PKEY_is_a (key, "EC") && EVP_PKEY_get_group_name (key, group, sizeof group, NULL) == 1
         && (g_str_equal (group, "prime256v1") || g_str_equal (group, "secp384r1"));
}

static X509_REQ *
csr_parse (const char *pem, GError **error)
{
  gsize length = pem != NULL ? strlen (pem) : 0;
  if (length == 0 || length > USHER_PEM_MAX)
    return g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "csr: no request (PEM) of at most %d bytes",
                        USHER_PEM_MAX), NULL;
  g_autoptr (BIO) bio = BIO_new_mem_buf (pem, (int) length);
  g_autoptr (X509_REQ) request = PEM_read_bio_X509_REQ (bio, NULL, NULL, NULL);
  if (request == NULL)
    return fail (error, USHER_ERROR_INVALID, "csr: not a certificate request"), NULL;
  EVP_PKEY *key = X509_REQ_get0_pubkey (request);
  if (key == NULL || !key_is_good (key))
    return fail (error, USHER_ERROR_INVALID, "csr: the key must be RSA of 2048 bits or more, EC P-256 or P-384, or Ed25519"),
           NULL;
  if (X509_REQ_verify (request, key) != 1)
    return fail (error, USHER_ERROR_INVALID, "csr: not signed with its own key"), NULL;
  return g_steal_pointer (&request);
}

static gboolean
add_extension (X509 *certificate, const X509 *issuer, int nid, const char *value)
{
  X509V3_CTX context;
  X509V3_set_ctx (&context, (X509 *) issuer, certificate, NULL, NULL, 0);
  X509_EXTENSION *extension = X509V3_EXT_conf_nid (NULL, &context, nid, value);
  gboolean ok = extension != NULL && X509_add_ext (certificate, extension, -1) == 1;
  X509_EXTENSION_free (extension);
  return ok;
}

static gboolean
add_extensions (X509 *certificate, const X509 *issuer, const char *host)
{
  g_autofree char *name = g_strconcat ("DNS:", host, NULL);
  const struct {
    int nid;
    const char *value;
  } extensions[] = {
    { NID_basic_constraints, "critical,CA:FALSE" },
    { NID_key_usage, "critical,digitalSignature" },
    { NID_ext_key_usage, "serverAuth,clientAuth" },
    { NID_subject_key_identifier, "hash" },
    { NID_authority_key_identifier, "keyid:always" },
    { NID_subject_alt_name, name },
  };
  for (guint i = 0; i < G_N_ELEMENTS (extensions); i++)
    if (!add_extension (certificate, issuer, extensions[i].nid, extensions[i].value))
      return FALSE;
  return TRUE;
}

static gboolean
set_serial (X509 *certificate)
{
  g_autoptr (BIGNUM) number = BN_new ();
  return number != NULL && BN_rand (number, 126, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1
         && BN_to_ASN1_INTEGER (number, X509_get_serialNumber (certificate)) != NULL;
}

static X509_NAME *
common_name_new (const char *text)
{
  g_autoptr (X509_NAME) name = X509_NAME_new ();
  if (name == NULL
      || X509_NAME_add_entry_by_txt (name, "CN", MBSTRING_UTF8, (const unsigned char *) text, -1, -1, 0) != 1)
    return NULL;
  return g_steal_pointer (&name);
}

/* Ed25519 keys sign without a digest of their own choosing; all others with SHA-256. */
static const EVP_MD *
digest_of (EVP_PKEY *key)
{
  return EVP_PKEY_is_a (key, "ED25519") ? NULL : EVP_sha256 ();
}

static X509 *
certificate_make (const UsherCa *ca, X509_REQ *request, const char *host, guint days)
{
  g_autoptr (X509) certificate = X509_new ();
  g_autoptr (X509_NAME) subject = common_name_new (host);
  if (certificate == NULL || subject == NULL)
    return NULL;
  if (X509_set_version (certificate, X509_VERSION_3) != 1 || !set_serial (certificate)
      || X509_set_subject_name (certificate, subject) != 1
      || X509_set_issuer_name (certificate, X509_get_subject_name (ca->certificate)) != 1
      || X509_gmtime_adj (X509_getm_notBefore (certificate), -300) == NULL
      || X509_time_adj_ex (X509_getm_notAfter (certificate), (int) days, 0, NULL) == NULL
      || X509_set_pubkey (certificate, X509_REQ_get0_pubkey (request)) != 1)
    return NULL;
  if (!add_extensions (certificate, ca->certificate, host)
      || X509_sign (certificate, ca->key, digest_of (ca->key)) == 0)
    return NULL;
  return g_steal_pointer (&certificate);
}

char *
usher_ca_sign_host (const UsherCa *ca, const char *csr_pem, const char *host, guint days,
                    char out_fingerprint[USHER_FINGERPRINT_SIZE], GError **error)
{
  if (!usher_id_is_valid (host))
    return g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "host: not an id"), NULL;
  g_autoptr (X509_REQ) request = csr_parse (csr_pem, error);
  if (request == NULL)
    return NULL;
  g_autoptr (X509) certificate = certificate_make (ca, request, host, days);
  g_autofree char *pem = certificate != NULL ? certificate_to_pem (certificate) : NULL;
  if (pem == NULL || !certificate_fingerprint (certificate, out_fingerprint))
    return fail (error, USHER_ERROR_INTERNAL, "signing the host's certificate"), NULL;
  return g_steal_pointer (&pem);
}

/* The only common name of `certificate`; NULL when there is none, several, or one with a NUL inside. */
static char *
dup_common_name (X509 *certificate)
{
  X509_NAME *subject = X509_get_subject_name (certificate);
  int at = X509_NAME_get_index_by_NID (subject, NID_commonName, -1);
  if (at < 0 || X509_NAME_get_index_by_NID (subject, NID_commonName, at) >= 0)
    return NULL;
  unsigned char *text = NULL;
  int length = ASN1_STRING_to_UTF8 (&text, X509_NAME_ENTRY_get_data (X509_NAME_get_entry (subject, at)));
  char *copy = NULL;
  if (length > 0 && memchr (text, '\0', (size_t) length) == NULL)
    copy = g_strndup ((const char *) text, (gsize) length);
  OPENSSL_free (text);
  return copy;
}

gboolean
usher_certificate_identify (const char *pem, char out_fingerprint[USHER_FINGERPRINT_SIZE], char **out_common_name,
                            GError **error)
{
  g_autoptr (X509) certificate = certificate_from_pem (pem, "certificate", error);
  if (certificate == NULL)
    return FALSE;
  g_autofree char *name = dup_common_name (certificate);
  if (name == NULL)
    return fail (error, USHER_ERROR_INVALID, "certificate: its subject has not exactly one common name");
  if (!certificate_fingerprint (certificate, out_fingerprint))
    return fail (error, USHER_ERROR_INTERNAL, "hashing a certificate");
  *out_common_name = g_steal_pointer (&name);
  return TRUE;
}

char *
usher_certificate_dup_subject (const char *pem, GError **error)
{
  g_autoptr (X509) certificate = certificate_from_pem (pem, "certificate", error);
  if (certificate == NULL)
    return NULL;
  g_autoptr (BIO) bio = BIO_new (BIO_s_mem ());
  const unsigned long form = XN_FLAG_SEP_COMMA_PLUS | XN_FLAG_FN_SN;
  if (bio == NULL || X509_NAME_print_ex (bio, X509_get_subject_name (certificate), 0, form) < 0)
    return fail (error, USHER_ERROR_INTERNAL, "writing a certificate's subject"), NULL;
  return bio_to_string (bio);
}

gboolean
usher_certificate_pem_hash (const char *pem, char out_hash[USHER_FINGERPRINT_SIZE], GError **error)
{
  g_autoptr (X509) certificate = certificate_from_pem (pem, "CA certificate", error);
  if (certificate == NULL)
    return FALSE;
  g_autofree char *clean = certificate_to_pem (certificate);
  if (clean == NULL)
    return fail (error, USHER_ERROR_INTERNAL, "writing a certificate");
  hash_text (clean, out_hash);
  return TRUE;
}

static char *
key_to_pem (EVP_PKEY *key)
{
  g_autoptr (BIO) bio = BIO_new (BIO_s_secmem ());
  if (bio == NULL || PEM_write_bio_PKCS8PrivateKey (bio, key, NULL, NULL, 0, NULL, NULL) != 1)
    return NULL;
  return bio_to_string (bio);
}

gboolean
usher_csr_new (const char *name, char **out_key_pem, char **out_csr_pem, GError **error)
{
  g_autoptr (EVP_PKEY) key = EVP_EC_gen ("P-256");
  g_autoptr (X509_REQ) request = X509_REQ_new ();
  g_autoptr (X509_NAME) subject = common_name_new (name);
  g_autoptr (BIO) bio = BIO_new (BIO_s_mem ());
  if (key == NULL || request == NULL || subject == NULL || bio == NULL || X509_REQ_set_version (request, 0) != 1
      || X509_REQ_set_subject_name (request, subject) != 1 || X509_REQ_set_pubkey (request, key) != 1
      || X509_REQ_sign (request, key, EVP_sha256 ()) == 0 || PEM_write_bio_X509_REQ (bio, request) != 1)
    return fail (error, USHER_ERROR_INTERNAL, "making a certificate request");
  char *key_pem = key_to_pem (key);
  if (key_pem == NULL)
    return fail (error, USHER_ERROR_INTERNAL, "writing a private key");
  *out_key_pem = key_pem;
  *out_csr_pem = bio_to_string (bio);
  return TRUE;
}
