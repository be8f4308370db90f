/* Certificates of the private CA that hosts, brokers and gateways trust each other by (OpenSSL X509).
 *
 * A host's certificate has CN = the host's id (a UUID), serves both ends of mutual TLS, and is known to the
 * broker by its fingerprint. Errors: INVALID for bad input, INTERNAL when OpenSSL itself fails. */
#pragma once
#include <glib.h>

#define USHER_FINGERPRINT_SIZE 65 /* SHA-256 in lower-case hexadecimal and the NUL */
#define USHER_PEM_MAX 65536       /* bytes of any PEM text taken from outside */

typedef struct _UsherCa UsherCa;

/* Reads the CA's certificate and private key; refuses a key that does not belong to the certificate. */
UsherCa *usher_ca_open (const char *certificate_path, const char *key_path, GError **error);

/* The CA's certificate as PEM, re-encoded (so that its hash does not depend on comments in the file); borrowed. */
const char *usher_ca_get_pem (const UsherCa *ca);

/* The SHA-256 of usher_ca_get_pem() in lower-case hexadecimal, what a join token carries; borrowed. */
const char *usher_ca_get_pem_hash (const UsherCa *ca);

/* Signs an untrusted certificate request: checks its own signature, its key (RSA >= 2048 bits, EC P-256 or
 * P-384, Ed25519) and takes nothing else from it. The certificate has CN = `host` (a valid id), is good for `days` days
 * from five minutes ago, is no CA, and may serve and ask (serverAuth, clientAuth); DNS name = `host`.
 * Returns PEM, owned by the caller, and the certificate's fingerprint. */
char *usher_ca_sign_host (const UsherCa *ca, const char *csr_pem, const char *host, guint days,
                          char out_fingerprint[USHER_FINGERPRINT_SIZE], GError **error);

void usher_ca_free (UsherCa *ca);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherCa, usher_ca_free)

/* The first certificate of untrusted PEM text: its fingerprint (SHA-256 of the DER) and its subject's common
 * name (owned by the caller; INVALID when there is not exactly one). */
gboolean usher_certificate_identify (const char *pem, char out_fingerprint[USHER_FINGERPRINT_SIZE],
                                     char **out_common_name, GError **error);

/* The subject of the first certificate of `pem` in the order and form that SPICE clients compare with
 * (`host-subject`): "O=Usher,CN=gateway"; owned by the caller. */
char *usher_certificate_dup_subject (const char *pem, GError **error);

/* SHA-256 of a CA's PEM text as usher_ca_get_pem_hash() gives it: re-encodes the first certificate of `pem`
 * first. For the host that checks the CA it is handed at join. */
gboolean usher_certificate_pem_hash (const char *pem, char out_hash[USHER_FINGERPRINT_SIZE], GError **error);

/* A fresh P-256 key and a request for it with CN = `name`: PEM texts owned by the caller. The key's text is
 * secret: wipe it. For the host that joins. */
gboolean usher_csr_new (const char *name, char **out_key_pem, char **out_csr_pem, GError **error);
