#include "common/checksum.h"
#include "common/error.h"
#include <errno.h>
#include <openssl/evp.h>
#include <unistd.h>

#define PIECE (1024 * 1024)

struct _UsherChecksum {
  EVP_MD_CTX *context;
};

UsherChecksum *
usher_checksum_new (void)
{
  UsherChecksum *checksum = g_new0 (UsherChecksum, 1);

  checksum->context = EVP_MD_CTX_new ();
  if (checksum->context == NULL || EVP_DigestInit_ex (checksum->context, EVP_sha256 (), NULL) != 1)
    g_error ("OpenSSL has no SHA-256");
  return checksum;
}

void
usher_checksum_add (UsherChecksum *checksum, gconstpointer data, gsize length)
{
  EVP_DigestUpdate (checksum->context, data, length);
}

void
usher_checksum_end (UsherChecksum *checksum, char out[USHER_CHECKSUM_SIZE])
{
  guint8 digest[EVP_MAX_MD_SIZE] = { 0 };

  EVP_DigestFinal_ex (checksum->context, digest, NULL);
  for (guint i = 0; i < (USHER_CHECKSUM_SIZE - 1) / 2; i++)
    g_snprintf (out + 2 * i, 3, "%02x", digest[i]);
}

gboolean
usher_checksum_add_fd (UsherChecksum *checksum, int fd, guint64 length, UsherChecksumStep step, gpointer user_data,
                       GError **error)
{
  g_autofree guint8 *piece = g_malloc (PIECE);

  for (guint64 done = 0; done < length;) {
    gssize got = pread (fd, piece, (gsize) MIN (PIECE, length - done), (off_t) done);
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0) {
      g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "byte %" G_GUINT64_FORMAT " can't be read: %s", done,
                   got == 0 ? "the file ends before" : g_strerror (errno));
      return FALSE;
    }
    usher_checksum_add (checksum, piece, (gsize) got);
    done += (guint64) got;
    if (step != NULL && !step (done, user_data, error))
      return FALSE;
  }
  return TRUE;
}

void
usher_checksum_free (UsherChecksum *checksum)
{
  if (checksum == NULL)
    return;
  EVP_MD_CTX_free (checksum->context);
  g_free (checksum);
}
