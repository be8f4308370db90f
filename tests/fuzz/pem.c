/* Certificates and certificate requests as strangers send them: the join's request, a host's certificate. */
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include "common/id.h"
#include "common/pki.h"
#include "tests/fuzz/fuzz.h"

#define HOST "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"

/* A fixed CA: its key guards nothing. */
static const char ca_pem[] =
  "-----BEGIN CERTIFICATE-----\n"
  "MIIBtTCCAVugAwIBAgIUQn1yTbSJPwgDYMTF5spULSFvMiYwCgYIKoZIzj0EAwIw\n"
  "KDEOMAwGA1UECgwFVXNoZXIxFjAUBgNVBAMMDVVzaGVyIHRlc3QgQ0EwHhcNMjYx\n"
  "MTIxMTQyODA4WhcNMjYxMjIxMTQyODA4WjAoMQ4wDAYDVQQKDAVVc2hlcjEWMBQG\n"
  "A1UEAwwNVXNoZXIgdGVzdCBDQTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABKr1\n"
  "zEUcKBaIcBdQ+qW0CJXAdo9Ao1vO60RuVia1jNkXUk9iHD8iJ70myoUOuM8PaQ+i\n"
  "NPLNnKNQqwLxZWOYD6GjYzBhMB0GA1UdDgQWBBQX7vFok3RcQ8Zmg5Czc0b53TMx\n"
  "7jAfBgNVHSMEGDAWgBQX7vFok3RcQ8Zmg5Czc0b53TMx7jAPBgNVHRMBAf8EBTAD\n"
  "AQH/MA4GA1UdDwEB/wQEAwIBBjAKBggqhkjOPQQDAgNIADBFAiAhh02isLn7BUmP\n"
  "JnFeOkSMJ9RzGjx1Vry823oUIgvh8gIhAP1STaJ8eN2cCNyTWfzQ2bchabQVFs8J\n"
  "y2XPvbWhhMVI\n"
  "-----END CERTIFICATE-----\n";
static const char ca_key[] =
  "-----BEGIN PRIVATE KEY-----\n"
  "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgw6opaCnCMMWULi0S\n"
  "6rXtda48CeEjVCTsCf8Cn74BmBKhRANCAASq9cxFHCgWiHAXUPqltAiVwHaPQKNb\n"
  "zutEblYmtYzZF1JPYhw/Iie9JsqFDrjPD2kPojTyzZyjUKsC8WVjmA+h\n"
  "-----END PRIVATE KEY-----\n";

static UsherCa *
open_ca (void)
{
  g_autofree char *folder = g_dir_make_tmp ("usher-pem-XXXXXX", NULL);
  g_autofree char *certificate = g_build_filename (folder, "ca.pem", NULL);
  g_autofree char *key = g_build_filename (folder, "ca.key", NULL);
  g_file_set_contents (certificate, ca_pem, -1, NULL);
  g_file_set_contents (key, ca_key, -1, NULL);
  UsherCa *ca = usher_ca_open (certificate, key, NULL);
  g_unlink (certificate);
  g_unlink (key);
  g_rmdir (folder);
  return ca;
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  static UsherCa *ca;
  if (ca == NULL)
    ca = open_ca ();
  g_assert_nonnull (ca);
  char fingerprint[USHER_FINGERPRINT_SIZE];
  g_autofree char *text = g_strndup ((const char *) data, size);
  g_autofree char *signed_pem = usher_ca_sign_host (ca, text, HOST, 365, fingerprint, NULL);
  if (signed_pem != NULL) {
    g_autofree char *name = NULL;
    g_assert_true (usher_certificate_identify (signed_pem, fingerprint, &name, NULL));
    g_assert_cmpstr (name, ==, HOST);
  }
  g_autofree char *name = NULL;
  if (usher_certificate_identify (text, fingerprint, &name, NULL))
    g_assert_cmpuint (strlen (fingerprint), ==, USHER_FINGERPRINT_SIZE - 1);
  g_free (usher_certificate_dup_subject (text, NULL));
  return 0;
}
