#include "broker/store/console_key.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"

#define TEXT_SIZE sodium_base64_ENCODED_LEN (crypto_secretbox_KEYBYTES, sodium_base64_VARIANT_URLSAFE_NO_PADDING)

#define PLAIN_MAX 256

struct _UsherConsoleKey {
  unsigned char *bytes; /* sodium_malloc, read only */
};

/* Writes a fresh key to a file of its own and links it to `path`, which fails when another was first: both are
 * fine, the caller reads what is there then. */
static gboolean
make (const char *path, GError **error)
{
  g_autofree char *fresh = g_strdup_printf ("%s.%d.%08x", path, (int) getpid (), g_random_int ());
  unsigned char bytes[crypto_secretbox_KEYBYTES];
  char text[TEXT_SIZE];
  int saved, fd = open (fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  gboolean written = FALSE;

  crypto_secretbox_keygen (bytes);
  sodium_bin2base64 (text, sizeof text, bytes, sizeof bytes, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
  text[TEXT_SIZE - 1] = '\n';
  if (fd >= 0)
    written = write (fd, text, sizeof text) == (gssize) sizeof text && fsync (fd) == 0;
  written = written && (link (fresh, path) == 0 || errno == EEXIST);
  saved = errno;
  sodium_memzero (bytes, sizeof bytes);
  sodium_memzero (text, sizeof text);
  if (fd >= 0)
    {
      close (fd);
      unlink (fresh);
    }
  if (!written)
    g_set_error (error, USHER_ERROR, saved == ENOSPC ? USHER_ERROR_EXHAUSTED : USHER_ERROR_UNAVAILABLE, "%s: %s", path,
                 g_strerror (saved));
  return written;
}

UsherConsoleKey *
usher_console_key_open (const char *dir, GError **error)
{
  g_autofree char *path = g_build_filename (dir, "console.key", NULL);
  g_autoptr (UsherSecret) text = NULL;
  gsize length = 0;

  if (access (path, F_OK) != 0 && !make (path, error))
    return NULL;
  text = usher_secret_read_file (path, error);
  if (text == NULL)
    return NULL;

  g_autoptr (UsherConsoleKey) key = g_new0 (UsherConsoleKey, 1);
  key->bytes = sodium_malloc (crypto_secretbox_KEYBYTES);
  if (key->bytes == NULL)
    g_error ("no locked memory for a key");
  if (sodium_base642bin (key->bytes, crypto_secretbox_KEYBYTES, usher_secret_peek (text), usher_secret_length (text),
                         NULL, &length, NULL, sodium_base64_VARIANT_URLSAFE_NO_PADDING)
          != 0
      || length != crypto_secretbox_KEYBYTES)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "%s: is not a key of %d bytes in base64url", path,
                   (int) crypto_secretbox_KEYBYTES);
      return NULL;
    }
  sodium_mprotect_readonly (key->bytes);
  return g_steal_pointer (&key);
}

GBytes *
usher_console_key_seal (const UsherConsoleKey *key, const UsherSecret *secret)
{
  gsize length = usher_secret_length (secret), size = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES + length;
  guint8 *sealed = g_malloc (size);
  randombytes_buf (sealed, crypto_secretbox_NONCEBYTES);
  crypto_secretbox_easy (sealed + crypto_secretbox_NONCEBYTES, (const unsigned char *) usher_secret_peek (secret),
                         length, sealed, key->bytes);
  return g_bytes_new_take (sealed, size);
}

/* The length of what was opened into `plain`, -1 when it was sealed with another key. */
static gssize
open_sealed (const UsherConsoleKey *key, const guint8 *sealed, gsize length, guint8 plain[PLAIN_MAX], GError **error)
{
  const gsize overhead = crypto_secretbox_NONCEBYTES + crypto_secretbox_MACBYTES;

  if (length > overhead && length - overhead <= PLAIN_MAX
      && crypto_secretbox_open_easy (plain, sealed + crypto_secretbox_NONCEBYTES, length - crypto_secretbox_NONCEBYTES,
                                     sealed, key->bytes)
             == 0)
    return (gssize) (length - overhead);
  g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE,
               "a console secret in the database was not sealed with this console.key");
  return -1;
}

UsherSecret *
usher_console_key_unseal (const UsherConsoleKey *key, const guint8 *sealed, gsize length, GError **error)
{
  guint8 plain[PLAIN_MAX];
  gssize size = open_sealed (key, sealed, length, plain, error);
  UsherSecret *secret = size >= 0 ? usher_secret_new (plain, (gsize) size) : NULL;
  sodium_memzero (plain, sizeof plain);
  return secret;
}

char *
usher_console_key_unseal_text (const UsherConsoleKey *key, const guint8 *sealed, gsize length, GError **error)
{
  guint8 plain[PLAIN_MAX];
  gssize size = open_sealed (key, sealed, length, plain, error);
  char *text = size >= 0 ? g_strndup ((const char *) plain, (gsize) size) : NULL;
  sodium_memzero (plain, sizeof plain);
  return text;
}

void
usher_console_key_free (UsherConsoleKey *key)
{
  if (key == NULL)
    return;
  sodium_free (key->bytes);
  g_free (key);
}
