/* Signing hosts' requests: what comes out verifies, and hostile requests are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <glib/gstdio.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>
#include "common/error.h"
#include "common/pki.h"

#define HOST "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"

typedef struct {
  char *folder, *certificate, *key;
} Fixture;

/* A self-signed CA, as the quick start's openssl makes it. */
static void
write_ca (Fixture *f)
{
  EVP_PKEY *key = EVP_EC_gen ("P-256");
  X509 *ca = X509_new ();
  X509_set_version (ca, X509_VERSION_3);
  ASN1_INTEGER_set (X509_get_serialNumber (ca), 1);
  X509_NAME *name = X509_get_subject_name (ca);
  X509_NAME_add_entry_by_txt (name, "O", MBSTRING_ASC, (const unsigned char *) "Usher", -1, -1, 0);
  X509_NAME_add_entry_by_txt (name, "CN", MBSTRING_ASC, (const unsigned char *) "test CA", -1, -1, 0);
  X509_set_issuer_name (ca, name);
  X509_gmtime_adj (X509_getm_notBefore (ca), -600);
  X509_gmtime_adj (X509_getm_notAfter (ca), 86400);
  X509_set_pubkey (ca, key);
  const struct {
    int nid;
    const char *value;
  } extensions[] = { { NID_basic_constraints, "critical,CA:TRUE" }, { NID_subject_key_identifier, "hash" } };
  for (guint i = 0; i < G_N_ELEMENTS (extensions); i++) {
    X509V3_CTX context;
    X509V3_set_ctx (&context, ca, ca, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid (NULL, &context, extensions[i].nid, extensions[i].value);
    X509_add_ext (ca, extension, -1);
    X509_EXTENSION_free (extension);
  }
  X509_sign (ca, key, EVP_sha256 ());
  FILE *out = g_fopen (f->certificate, "w");
  PEM_write_X509 (out, ca);
  fclose (out);
  out = g_fopen (f->key, "w");
  PEM_write_PrivateKey (out, key, NULL, NULL, 0, NULL, NULL);
  fclose (out);
  X509_free (ca);
  EVP_PKEY_free (key);
}

static int
set_up (void **state)
{
  Fixture *f = g_new0 (Fixture, 1);
  f->folder = g_dir_make_tmp ("usher-pki-XXXXXX", NULL);
  f->certificate = g_build_filename (f->folder, "ca.pem", NULL);
  f->key = g_build_filename (f->folder, "ca.key", NULL);
  write_ca (f);
  *state = f;
  return 0;
}

static int
tear_down (void **state)
{
  Fixture *f = *state;
  g_unlink (f->certificate);
  g_unlink (f->key);
  g_rmdir (f->folder);
  g_free (f->folder);
  g_free (f->certificate);
  g_free (f->key);
  g_free (f);
  return 0;
}

static X509 *
parse (const char *pem)
{
  BIO *bio = BIO_new_mem_buf (pem, -1);
  X509 *certificate = PEM_read_bio_X509 (bio, NULL, NULL, NULL);
  BIO_free (bio);
  return certificate;
}

static void
signs_a_host (void **state)
{
  Fixture *f = *state;
  g_autoptr (UsherCa) ca = usher_ca_open (f->certificate, f->key, NULL);
  assert_non_null (ca);
  g_autofree char *key = NULL, *csr = NULL;
  /* The request claims another name: nothing but its key is taken. */
  assert_true (usher_csr_new ("administrator", &key, &csr, NULL));
  char fingerprint[USHER_FINGERPRINT_SIZE], again[USHER_FINGERPRINT_SIZE];
  g_autofree char *pem = usher_ca_sign_host (ca, csr, HOST, 365, fingerprint, NULL);
  assert_non_null (pem);

  g_autofree char *name = NULL;
  assert_true (usher_certificate_identify (pem, again, &name, NULL));
  assert_string_equal (name, HOST);
  assert_string_equal (again, fingerprint);

  X509 *certificate = parse (pem), *issuer = parse (usher_ca_get_pem (ca));
  assert_int_equal (X509_verify (certificate, X509_get0_pubkey (issuer)), 1);
  assert_int_equal (X509_check_ca (certificate), 0);
  assert_int_equal (X509_check_purpose (certificate, X509_PURPOSE_SSL_CLIENT, 0), 1);
  assert_int_equal (X509_check_purpose (certificate, X509_PURPOSE_SSL_SERVER, 0), 1);
  int days = 0, seconds = 0;
  ASN1_TIME_diff (&days, &seconds, NULL, X509_get0_notAfter (certificate));
  assert_in_range (days, 364, 365);
  X509_free (certificate);
  X509_free (issuer);
}

static void
join_hash_is_of_the_clean_text (void **state)
{
  Fixture *f = *state;
  g_autoptr (UsherCa) ca = usher_ca_open (f->certificate, f->key, NULL);
  g_autofree char *noisy = g_strconcat ("a comment\n", usher_ca_get_pem (ca), "\ntrailing\n", NULL);
  char hash[USHER_FINGERPRINT_SIZE];
  assert_true (usher_certificate_pem_hash (noisy, hash, NULL));
  assert_string_equal (hash, usher_ca_get_pem_hash (ca));
  g_autofree char *subject = usher_certificate_dup_subject (usher_ca_get_pem (ca), NULL);
  assert_string_equal (subject, "O=Usher,CN=test CA");
}

/* A request with a key too weak, or whose signature does not fit. */
static char *
weak_request (void)
{
  EVP_PKEY *key = EVP_RSA_gen (1024);
  X509_REQ *request = X509_REQ_new ();
  X509_REQ_set_pubkey (request, key);
  X509_REQ_sign (request, key, EVP_sha256 ());
  BIO *bio = BIO_new (BIO_s_mem ());
  PEM_write_bio_X509_REQ (bio, request);
  char *bytes = NULL;
  long length = BIO_get_mem_data (bio, &bytes);
  char *pem = g_strndup (bytes, (gsize) length);
  BIO_free (bio);
  X509_REQ_free (request);
  EVP_PKEY_free (key);
  return pem;
}

static char *
broken_request (void)
{
  g_autofree char *key = NULL, *csr = NULL;
  assert_true (usher_csr_new ("x", &key, &csr, NULL));
  char *line = strstr (csr, "\n-----END") - 8; /* inside the signature */
  *line = *line == 'A' ? 'B' : 'A';
  return g_steal_pointer (&csr);
}

static void
refuses_hostile_requests (void **state)
{
  Fixture *f = *state;
  g_autoptr (UsherCa) ca = usher_ca_open (f->certificate, f->key, NULL);
  char *requests[] = { weak_request (), broken_request (), g_strdup (""), g_strdup ("-----BEGIN CERTIFICATE REQUEST-----\nAAAA"),
                       g_strnfill (USHER_PEM_MAX + 1, 'A') };
  for (guint i = 0; i < G_N_ELEMENTS (requests); i++) {
    char fingerprint[USHER_FINGERPRINT_SIZE];
    g_autoptr (GError) error = NULL;
    assert_null (usher_ca_sign_host (ca, requests[i], HOST, 365, fingerprint, &error));
    assert_int_equal (usher_error_code (error), USHER_ERROR_INVALID);
    g_free (requests[i]);
  }
  g_autoptr (GError) error = NULL;
  assert_null (usher_ca_sign_host (ca, "x", "not-an-id", 365, (char[USHER_FINGERPRINT_SIZE]){ 0 }, &error));
  assert_int_equal (usher_error_code (error), USHER_ERROR_INVALID);
}

static void
refuses_a_strange_key (void **state)
{
  Fixture *f = *state;
  g_autofree char *key = NULL, *csr = NULL;
  g_autoptr (GError) error = NULL;
  assert_true (usher_csr_new ("x", &key, &csr, NULL));
  g_autofree char *other = g_build_filename (f->folder, "other.key", NULL);
  assert_true (g_file_set_contents (other, key, -1, NULL));
  assert_null (usher_ca_open (f->certificate, other, &error));
  assert_int_equal (usher_error_code (error), USHER_ERROR_INVALID);
  g_unlink (other);
  g_clear_error (&error);
  assert_null (usher_ca_open ("/nonexistent/ca.pem", f->key, &error));
  assert_int_equal (usher_error_code (error), USHER_ERROR_INVALID);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown (signs_a_host, set_up, tear_down),
    cmocka_unit_test_setup_teardown (join_hash_is_of_the_clean_text, set_up, tear_down),
    cmocka_unit_test_setup_teardown (refuses_hostile_requests, set_up, tear_down),
    cmocka_unit_test_setup_teardown (refuses_a_strange_key, set_up, tear_down),
  };
  cmocka_set_message_output (CM_OUTPUT_TAP);
  return cmocka_run_group_tests (tests, NULL, NULL);
}
