#include "common/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/id.h"

#define FILE_LIMIT (64 * 1024)

struct _UsherSecret {
  gsize length;
  char *bytes; /* length + 1, NUL-terminated, from sodium_malloc */
};

/* Memory of sodium_malloc, which aborts before sodium_init; that is thread-safe and cheap to call again. */
static char *
guarded (gsize size)
{
  char *bytes = sodium_init () < 0 ? NULL : sodium_malloc (size);
  if (bytes == NULL)
    g_error ("no memory for a secret of %" G_GSIZE_FORMAT " bytes", size);
  return bytes;
}

UsherSecret *
usher_secret_new (const void *bytes, gsize length)
{
  UsherSecret *secret = g_new0 (UsherSecret, 1);
  secret->length = length;
  secret->bytes = guarded (length + 1);
  if (length > 0)
    memcpy (secret->bytes, bytes, length);
  secret->bytes[length] = '\0';
  return secret;
}

UsherSecret *
usher_secret_new_string (const char *text)
{
  return text != NULL ? usher_secret_new (text, strlen (text)) : NULL;
}

UsherSecret *
usher_secret_take_string (char *text)
{
  UsherSecret *secret = usher_secret_new_string (text);
  if (text != NULL)
    sodium_memzero (text, strlen (text));
  return secret;
}

UsherSecret *
usher_secret_new_token (void)
{
  char token[USHER_TOKEN_SIZE];
  usher_token_new (token);
  UsherSecret *secret = usher_secret_new_string (token);
  sodium_memzero (token, sizeof token);
  return secret;
}

static gssize
read_all (int fd, char *into, gsize size)
{
  gsize got = 0;
  while (got < size)
    {
      gssize n = read (fd, into + got, size - got);
      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        return -1;
      if (n == 0)
        break;
      got += n;
    }
  return got;
}

UsherSecret *
usher_secret_read_file (const char *path, GError **error)
{
  int fd = g_open (path, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0)
    {
      int code = errno == ENOENT ? USHER_ERROR_MISSING : errno == EACCES ? USHER_ERROR_REFUSED : USHER_ERROR_UNAVAILABLE;
      g_set_error (error, USHER_ERROR, code, "%s: %s", path, g_strerror (errno));
      return NULL;
    }

  char *buffer = guarded (FILE_LIMIT + 1);
  gssize length = read_all (fd, buffer, FILE_LIMIT + 1);
  int read_errno = errno;
  close (fd);

  UsherSecret *secret = NULL;
  if (length < 0)
    g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "%s: %s", path, g_strerror (read_errno));
  else if (length > FILE_LIMIT)
    g_set_error (error, USHER_ERROR, USHER_ERROR_TOO_LARGE, "%s: over %d bytes", path, FILE_LIMIT);
  else
    secret = usher_secret_new (buffer, length > 0 && buffer[length - 1] == '\n' ? length - 1 : length);
  sodium_free (buffer);
  return secret;
}

const char *
usher_secret_peek (const UsherSecret *secret)
{
  return secret->bytes;
}

gsize
usher_secret_length (const UsherSecret *secret)
{
  return secret->length;
}

gboolean
usher_secret_equal (const UsherSecret *a, const UsherSecret *b)
{
  return a != NULL && b != NULL && a->length == b->length && sodium_memcmp (a->bytes, b->bytes, a->length) == 0;
}

void
usher_secret_free (UsherSecret *secret)
{
  if (secret == NULL)
    return;
  sodium_free (secret->bytes); /* zeroes */
  g_free (secret);
}
