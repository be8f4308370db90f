#include "hostd/storage/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"

#define MAGIC 0x514649fbu /* "QFI\xfb" */
#define CLUSTER_BITS 16
#define CLUSTER (1u << CLUSTER_BITS)
#define L1_REACH ((guint64) CLUSTER * (CLUSTER / 8)) /* bytes of the disk that one entry of the L1 table stands for */
#define FORMAT_EXTENSION 0xe2792acau                 /* the backing file's format */
#define NAME_MAX_BYTES 1023                          /* what the format allows */

/* The header on the disk; all numbers big-endian. */
typedef struct __attribute__ ((packed)) {
  guint32 magic, version;
  guint64 name_offset;
  guint32 name_length, cluster_bits;
  guint64 size;
  guint32 encryption, l1_entries;
  guint64 l1_offset, refcount_offset;
  guint32 refcount_clusters, snapshots;
  guint64 snapshots_offset;
  guint64 incompatible, compatible, autoclear;
  guint32 refcount_order, header_length;
} Header;

/* What follows it in an overlay: the backing file's format, and the end of extensions. */
typedef struct __attribute__ ((packed)) {
  guint32 format_type, format_length;
  char format[8];
  guint32 end_type, end_length;
} Extensions;

G_STATIC_ASSERT (sizeof (Header) == 104);

static gboolean
failed (GError **error, const char *path)
{
  int number = errno;
  gboolean full = number == ENOSPC || number == EDQUOT;
  g_set_error (error, USHER_ERROR,
               full ? USHER_ERROR_EXHAUSTED : number == ENOENT ? USHER_ERROR_MISSING : USHER_ERROR_INTERNAL, "%s%s: %s",
               full ? "disk full: " : "", path, g_strerror (number));
  return FALSE;
}

static gboolean
broken (GError **error, const char *path, const char *why)
{
  g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "broken image: %s: %s", path, why);
  return FALSE;
}

/* ---- reading ---- */

static gboolean
read_header (int fd, const char *path, Header *out, GError **error)
{
  gssize got = pread (fd, out, sizeof *out, 0);
  if (got < 0)
    return failed (error, path);
  if (got < 72 || GUINT32_FROM_BE (out->magic) != MAGIC) /* version 2 ends there */
    return broken (error, path, "not a qcow2 file");
  return TRUE;
}

static gboolean
read_name (int fd, const char *path, const Header *header, char **out, GError **error)
{
  guint64 offset = GUINT64_FROM_BE (header->name_offset);
  guint32 length = GUINT32_FROM_BE (header->name_length);
  if (offset == 0)
    {
      *out = NULL;
      return TRUE;
    }
  g_autofree char *name = length <= NAME_MAX_BYTES ? g_malloc0 (length + 1) : NULL;
  if (name == NULL || offset > G_MAXINT64 || pread (fd, name, length, (off_t) offset) != (gssize) length)
    return broken (error, path, "its backing file's name cannot be read");
  *out = g_steal_pointer (&name);
  return TRUE;
}

gboolean
usher_overlay_read_base (const char *path, char **out, GError **error)
{
  Header header = { 0 };
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return failed (error, path);
  gboolean done = read_header (fd, path, &header, error) && read_name (fd, path, &header, out, error);
  close (fd);
  return done;
}

static gboolean
read_size (const char *path, guint64 *out, GError **error)
{
  Header header = { 0 };
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return failed (error, path);
  gboolean done = read_header (fd, path, &header, error);
  close (fd);
  *out = done ? GUINT64_FROM_BE (header.size) : 0;
  return done;
}

/* ---- making ----
 *
 *     cluster 0   header, extensions, the backing file's name
 *     cluster 1   refcount table, one entry
 *     cluster 2   refcount block
 *     cluster 3…  L1 table, all zeros: nothing of the disk is here yet */

static gboolean
put (int fd, gconstpointer bytes, gsize length, goffset at)
{
  gssize done = pwrite (fd, bytes, length, at);
  if (done >= 0 && (gsize) done < length)
    errno = ENOSPC;
  return done == (gssize) length;
}

static gboolean
write_head (int fd, const char *base, guint64 size, guint32 l1_entries)
{
  Header header = {
    .magic = GUINT32_TO_BE (MAGIC), .version = GUINT32_TO_BE (3),
    .name_offset = GUINT64_TO_BE (sizeof (Header) + sizeof (Extensions)), .name_length = GUINT32_TO_BE ((guint32) strlen (base)),
    .cluster_bits = GUINT32_TO_BE (CLUSTER_BITS), .size = GUINT64_TO_BE (size), .l1_entries = GUINT32_TO_BE (l1_entries),
    .l1_offset = GUINT64_TO_BE (3 * (guint64) CLUSTER), .refcount_offset = GUINT64_TO_BE (CLUSTER),
    .refcount_clusters = GUINT32_TO_BE (1), .refcount_order = GUINT32_TO_BE (4), .header_length = GUINT32_TO_BE (sizeof (Header)),
  };
  Extensions extensions = { .format_type = GUINT32_TO_BE (FORMAT_EXTENSION), .format_length = GUINT32_TO_BE (5), .format = "qcow2" };
  return put (fd, &header, sizeof header, 0) && put (fd, &extensions, sizeof extensions, sizeof header)
         && put (fd, base, strlen (base), sizeof header + sizeof extensions);
}

static gboolean
write_tables (int fd, guint32 l1_clusters)
{
  guint64 block = GUINT64_TO_BE (2 * (guint64) CLUSTER);
  g_autofree guint16 *counts = g_new (guint16, 3 + l1_clusters);
  for (guint i = 0; i < 3 + l1_clusters; i++)
    counts[i] = GUINT16_TO_BE (1);
  return put (fd, &block, sizeof block, CLUSTER) && put (fd, counts, (3 + l1_clusters) * sizeof *counts, 2 * CLUSTER)
         && ftruncate (fd, (3 + (goffset) l1_clusters) * CLUSTER) == 0;
}

static gboolean
write_overlay (const char *path, const char *base, guint64 size)
{
  guint64 l1_entries = MAX (1, (size + L1_REACH - 1) / L1_REACH);
  guint32 l1_clusters = (guint32) ((l1_entries * 8 + CLUSTER - 1) / CLUSTER);
  int fd = open (path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0)
    return FALSE;
  gboolean done = write_head (fd, base, size, (guint32) l1_entries) && write_tables (fd, l1_clusters);
  int number = errno;
  close (fd);
  errno = number;
  return done;
}

gboolean
usher_overlay_make (const char *path, const char *base, GError **error)
{
  guint64 size = 0;
  g_autofree char *half = g_strconcat (path, ".new", NULL);
  if (!read_size (base, &size, error))
    return FALSE;
  if (strlen (base) > NAME_MAX_BYTES || size == 0 || size > G_MAXINT64 / 2)
    return broken (error, base, "cannot be a backing file (its path or its size)");
  if (unlink (half) < 0 && errno != ENOENT)
    return failed (error, half);
  if (write_overlay (half, base, size) && rename (half, path) == 0)
    return TRUE;
  failed (error, path);
  unlink (half);
  return FALSE;
}
