#include "hostd/clone/ram.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"

#define MIB (1024 * 1024)
#define BLOCK (64 * 1024)
#define SEALS (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define SEAL_WAIT_MS 5000

static gboolean
failed (GError **error, const char *what)
{
  int number = errno;
  gboolean full = number == ENOSPC || number == EDQUOT, short_of = number == ENOMEM || number == EMFILE || number == ENFILE;
  g_set_error (error, USHER_ERROR, full || short_of ? USHER_ERROR_EXHAUSTED : USHER_ERROR_INTERNAL, "%s%s: %s",
               full ? "disk full: " : "", what, g_strerror (number));
  return FALSE;
}

int
usher_ram_new (const char *name, gint64 ram_mib, GError **error)
{
  int fd = memfd_create (name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (fd < 0)
    {
      failed (error, "making golden RAM");
      return -1;
    }
  /* QEMU opens it anew through /proc, as its own user, for reading and writing. Nobody else gets at a memfd. */
  if (fchmod (fd, 0666) == 0 && ftruncate (fd, ram_mib * MIB) == 0)
    return fd;
  failed (error, "sizing golden RAM");
  close (fd);
  return -1;
}

gboolean
usher_ram_seal (int fd, GError **error)
{
  /* A QEMU that was just ended may still be giving back its mapping. */
  for (guint waited = 0; waited < SEAL_WAIT_MS; waited += 20)
    {
      if (fcntl (fd, F_ADD_SEALS, SEALS) == 0)
        return TRUE;
      if (errno != EBUSY)
        return failed (error, "sealing golden RAM");
      g_usleep (20 * 1000);
    }
  g_set_error (error, USHER_ERROR, USHER_ERROR_CONFLICT, "golden RAM cannot be sealed: some process still writes to it");
  return FALSE;
}

gboolean
usher_ram_is_golden (int fd, gint64 ram_mib)
{
  struct stat found;
  return fcntl (fd, F_GET_SEALS) == SEALS && fstat (fd, &found) == 0 && found.st_size == ram_mib * MIB;
}

/* ---- going over contents: blocks of zeros and holes count as one ---- */

typedef struct {
  UsherChecksum *checksum;
  int to; /* -1: not copied */
} Pass;

static gboolean
is_zero (const char *block, gsize length)
{
  return *block == 0 && memcmp (block, block + 1, length - 1) == 0;
}

static gboolean
read_block (int fd, char *block, goffset at, gsize length, GError **error)
{
  for (gsize done = 0; done < length;)
    {
      gssize got = pread (fd, block + done, length - done, at + (goffset) done);
      if (got < 0 && errno == EINTR)
        continue;
      if (got == 0)
        errno = EIO;
      if (got <= 0)
        return failed (error, "reading RAM");
      done += (gsize) got;
    }
  return TRUE;
}

static gboolean
write_block (int fd, const char *block, goffset at, gsize length, GError **error)
{
  for (gsize done = 0; done < length;)
    {
      gssize put = pwrite (fd, block + done, length - done, at + (goffset) done);
      if (put < 0 && errno == EINTR)
        continue;
      if (put < 0)
        return failed (error, "writing RAM");
      done += (gsize) put;
    }
  return TRUE;
}

/* Where the next data begins at or after `at`, on a block's edge; `size` when there is none. */
static goffset
next_data (int fd, goffset at, goffset size)
{
  goffset data = lseek (fd, at, SEEK_DATA);
  if (data < 0)
    return errno == ENXIO ? size : at; /* a file system that knows no holes: read them */
  return data / BLOCK * BLOCK;
}

static gboolean
pass_block (const Pass *pass, const char *block, goffset at, gsize length, GError **error)
{
  guint64 place = GUINT64_TO_LE ((guint64) at);
  if (is_zero (block, length))
    return TRUE;
  usher_checksum_add (pass->checksum, &place, sizeof place);
  usher_checksum_add (pass->checksum, block, length);
  return pass->to < 0 || write_block (pass->to, block, at, length, error);
}

static gboolean
pass_over (int fd, int to, char out[USHER_CHECKSUM_SIZE], GError **error)
{
  g_autofree char *block = g_malloc (BLOCK);
  g_autoptr (UsherChecksum) checksum = usher_checksum_new ();
  Pass pass = { checksum, to };
  struct stat found;
  if (fstat (fd, &found) < 0 || (to >= 0 && ftruncate (to, found.st_size) < 0))
    return failed (error, "sizing RAM");
  for (goffset at = next_data (fd, 0, found.st_size); at < found.st_size; at = next_data (fd, at + BLOCK, found.st_size))
    {
      gsize length = (gsize) MIN (BLOCK, found.st_size - at);
      if (!read_block (fd, block, at, length, error) || !pass_block (&pass, block, at, length, error))
        return FALSE;
    }
  usher_checksum_end (checksum, out);
  return TRUE;
}

gboolean
usher_ram_checksum (int fd, char out[USHER_CHECKSUM_SIZE], GError **error)
{
  return pass_over (fd, -1, out, error);
}

gboolean
usher_ram_save (int fd, const char *path, char out[USHER_CHECKSUM_SIZE], GError **error)
{
  int to = open (path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (to < 0)
    return failed (error, path);
  gboolean done = pass_over (fd, to, out, error) && (fsync (to) == 0 || failed (error, path));
  posix_fadvise (to, 0, 0, POSIX_FADV_DONTNEED); /* the memory is for guests */
  close (to);
  return done;
}

static gboolean
broken (GError **error, const char *path, const char *why)
{
  g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "broken parent: %s: %s", path, why);
  return FALSE;
}

static gboolean
fill (int ram, const char *path, gint64 ram_mib, const char *checksum, GError **error)
{
  char found_sum[USHER_CHECKSUM_SIZE];
  struct stat found;
  int from = open (path, O_RDONLY | O_CLOEXEC);
  if (from < 0)
    return broken (error, path, g_strerror (errno));
  gboolean filled = fstat (from, &found) == 0 && found.st_size == ram_mib * MIB;
  if (!filled)
    broken (error, path, "not as large as the RAM that was saved");
  filled = filled && pass_over (from, ram, found_sum, error);
  posix_fadvise (from, 0, 0, POSIX_FADV_DONTNEED);
  close (from);
  return filled && (strcmp (found_sum, checksum) == 0 || broken (error, path, "not what was saved (checksum)"));
}

int
usher_ram_load (const char *name, const char *path, gint64 ram_mib, const char *checksum, GError **error)
{
  int fd = usher_ram_new (name, ram_mib, error);
  if (fd < 0)
    return -1;
  if (fill (fd, path, ram_mib, checksum, error) && usher_ram_seal (fd, error))
    return fd;
  close (fd);
  return -1;
}
