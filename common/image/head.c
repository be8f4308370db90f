#include "common/image/head.h"
#include "common/error.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR 512
#define DESCRIPTOR_MAX (64 * 1024)

/* qcow2's incompatible features (docs/interop/qcow2.txt of QEMU). */
#define QCOW2_DIRTY (1u << 0)
#define QCOW2_CORRUPT (1u << 1)
#define QCOW2_DATA_FILE (1u << 2)
#define QCOW2_KNOWN 0x1fu
#define QCOW2_EXTENSION_DATA_FILE 0x44415441u
#define QCOW2_EXTENSION_ENCRYPTION 0x0537be77u

typedef struct {
  const guint8 *head;
  gsize length;
  const guint8 *tail;
  gsize tail_length;
  guint64 file_size;
} Look;

/* ---- numbers; out of the head they are 0 ---- */

static guint64
number (const Look *look, gsize at, gsize bytes, gboolean big)
{
  guint64 value = 0;

  if (at > look->length || look->length - at < bytes)
    return 0;
  for (gsize i = 0; i < bytes; i++)
    value = value << 8 | look->head[at + (big ? i : bytes - 1 - i)];
  return value;
}

static guint32
be32 (const Look *look, gsize at)
{
  return (guint32) number (look, at, 4, TRUE);
}

static guint64
be64 (const Look *look, gsize at)
{
  return number (look, at, 8, TRUE);
}

static guint64
le64 (const Look *look, gsize at)
{
  return number (look, at, 8, FALSE);
}

static gboolean
has (const Look *look, gsize at, const char *magic, gsize length)
{
  return at <= look->length && look->length - at >= length && memcmp (look->head + at, magic, length) == 0;
}

static gboolean
invalid (GError **error, const char *message)
{
  g_set_error_literal (error, USHER_ERROR, USHER_ERROR_INVALID, message);
  return FALSE;
}

static gboolean
refused (GError **error, const char *message)
{
  g_set_error_literal (error, USHER_ERROR, USHER_ERROR_REFUSED, message);
  return FALSE;
}

/* ---- qcow2 ---- */

static gboolean
check_qcow2_features (guint64 features, GError **error)
{
  if (features & QCOW2_DATA_FILE)
    return refused (error, "its data is in another file (external data file)");
  if (features & QCOW2_CORRUPT)
    return invalid (error, "it is marked as corrupt: qemu-img check says more");
  if (features & QCOW2_DIRTY)
    return invalid (error, "it was not closed properly, or is in use: qemu-img check -r all mends it");
  if (features & ~(guint64) QCOW2_KNOWN)
    return invalid (error, "it has features that are not known here");
  return TRUE;
}

static gboolean
check_qcow2_extensions (const Look *look, gsize at, GError **error)
{
  while (at + 8 <= look->length) {
    guint32 type = be32 (look, at), length = be32 (look, at + 4);
    if (type == 0)
      break;
    if (type == QCOW2_EXTENSION_DATA_FILE)
      return refused (error, "it names an external data file");
    if (type == QCOW2_EXTENSION_ENCRYPTION)
      return refused (error, "it is encrypted");
    if (length > look->length - at - 8)
      return invalid (error, "its header is damaged (an extension that does not end)");
    at += 8 + (((gsize) length + 7) & ~(gsize) 7);
  }
  return TRUE;
}

static gboolean
parse_qcow2 (const Look *look, UsherImageHead *out, GError **error)
{
  guint32 version = be32 (look, 4), cluster_bits = be32 (look, 20);
  guint32 header_length = version >= 3 ? be32 (look, 100) : 72;

  if (version != 2 && version != 3)
    return invalid (error, "it is a qcow image of version 1, or of one that is not known here: qemu-img convert makes it a qcow2");
  if (look->length < header_length || header_length < 72 || (version == 3 && header_length < 104) || cluster_bits < 9 || cluster_bits > 21)
    return invalid (error, "its header is damaged");
  if (be64 (look, 8) != 0)
    return refused (error, "it stands on another image (backing file): qemu-img convert makes one image of both");
  if (be32 (look, 32) != 0)
    return refused (error, "it is encrypted");
  if (version >= 3 && !check_qcow2_features (be64 (look, 72), error))
    return FALSE;
  if (!check_qcow2_extensions (look, header_length, error))
    return FALSE;
  out->virtual_size = be64 (look, 24);
  out->snapshots = be32 (look, 60);
  return TRUE;
}

/* ---- vmdk ---- */

static gboolean
check_vmdk_line (const char *line, guint *extents, GError **error)
{
  static const char *const accesses[] = { "RW ", "RDONLY ", "NOACCESS " };

  if (g_ascii_strncasecmp (line, "parentFileNameHint", 18) == 0)
    return refused (error, "it stands on another image (parentFileNameHint)");
  if (g_ascii_strncasecmp (line, "parentCID", 9) == 0 && g_strrstr (line, "ffffffff") == NULL && g_strrstr (line, "FFFFFFFF") == NULL)
    return refused (error, "it stands on another image (parentCID)");
  if (g_ascii_strncasecmp (line, "createType", 10) == 0 && g_strrstr (line, "\"monolithicSparse\"") == NULL &&
      g_strrstr (line, "\"streamOptimized\"") == NULL)
    return refused (error, "its data is in other files (createType is neither monolithicSparse nor streamOptimized)");
  for (gsize i = 0; i < G_N_ELEMENTS (accesses); i++)
    if (g_str_has_prefix (line, accesses[i]) && ++*extents > 1)
      return refused (error, "its data is in several files");
  return TRUE;
}

static gboolean
check_vmdk_descriptor (const char *text, gsize length, GError **error)
{
  g_autofree char *copy = g_strndup (text, length);
  g_auto (GStrv) lines = g_strsplit_set (copy, "\r\n", -1);
  guint extents = 0;

  for (gsize i = 0; lines[i] != NULL; i++)
    if (!check_vmdk_line (g_strchug (lines[i]), &extents, error))
      return FALSE;
  return TRUE;
}

static gboolean
parse_vmdk (const Look *look, UsherImageHead *out, GError **error)
{
  guint64 capacity = le64 (look, 12), at = le64 (look, 28), sectors = le64 (look, 36);

  if (look->length < SECTOR)
    return invalid (error, "its header is damaged");
  /* With no capacity QEMU takes the descriptor for that of a disk in several files. */
  if (capacity == 0)
    return refused (error, "its data is in other files");
  if (capacity > G_MAXINT64 / SECTOR)
    return invalid (error, "its header is damaged");
  if (at > 0) {
    if (sectors == 0 || sectors > DESCRIPTOR_MAX / SECTOR || at > look->length / SECTOR || at + sectors > look->length / SECTOR)
      return invalid (error, "its descriptor is not where it should be");
    if (!check_vmdk_descriptor ((const char *) look->head + at * SECTOR, (gsize) sectors * SECTOR, error))
      return FALSE;
  }
  out->virtual_size = capacity * SECTOR;
  return TRUE;
}

/* ---- vpc ---- */

#define VPC_DIFFERENCING 4

static gboolean
parse_vpc (const guint8 *footer, GError **error)
{
  if (footer[60] == 0 && footer[61] == 0 && footer[62] == 0 && footer[63] == VPC_DIFFERENCING)
    return refused (error, "it stands on another image (differencing disk)");
  return TRUE;
}

/* ---- what it is ---- */

/* What people have in its place, and what to do with it. */
static const struct {
  gsize at;
  const char *magic;
  gsize length;
  const char *message;
  gboolean refusal;
} others[] = {
  { 0, "\x1f\x8b", 2, "it is packed with gzip: unpack it first", FALSE },
  { 0, "\xfd" "7zXZ", 5, "it is packed with xz: unpack it first", FALSE },
  { 0, "BZh", 3, "it is packed with bzip2: unpack it first", FALSE },
  { 0, "\x28\xb5\x2f\xfd", 4, "it is packed with zstd: unpack it first", FALSE },
  { 0, "PK\x03\x04", 4, "it is a zip archive: unpack it first", FALSE },
  { 0, "7z\xbc\xaf\x27\x1c", 6, "it is a 7-Zip archive: unpack it first", FALSE },
  { 257, "ustar", 5, "it is a tar archive (an OVA?): unpack it, and import the disk that is in it", FALSE },
  { 32769, "CD001", 5, "it is a CD's image: install from it, then import the disk", FALSE },
  { 64, "\x7f\x10\xda\xbe", 4, "it is a VDI image: qemu-img convert -f vdi -O qcow2 makes it a qcow2", FALSE },
  { 0, "QED\0", 4, "it is a QED image: qemu-img convert -f qed -O qcow2 makes it a qcow2", FALSE },
  { 0, "WithoutFreeSpace", 16, "it is a Parallels image: qemu-img convert -f parallels -O qcow2 makes it a qcow2", FALSE },
  { 0, "WithouFreSpacExt", 16, "it is a Parallels image: qemu-img convert -f parallels -O qcow2 makes it a qcow2", FALSE },
  { 0, "LUKS\xba\xbe", 6, "it is encrypted", TRUE },
  { 0, "COWD", 4, "it is one part of a VMDK in several files", TRUE },
  { 0, "# Disk Descriptor", 17, "it is the descriptor of a VMDK in several files: qemu-img convert -f vmdk -O qcow2 makes one of them", TRUE },
};

static const char *const names[] = {
  [USHER_IMAGE_RAW] = "raw",   [USHER_IMAGE_QCOW2] = "qcow2", [USHER_IMAGE_VMDK] = "vmdk",
  [USHER_IMAGE_VHDX] = "vhdx", [USHER_IMAGE_VPC] = "vpc",
};

const char *
usher_image_format_name (UsherImageFormat format)
{
  return names[format];
}

static gboolean
parse_raw (const Look *look, UsherImageHead *out, GError **error)
{
  for (gsize i = 0; i < G_N_ELEMENTS (others); i++)
    if (has (look, others[i].at, others[i].magic, others[i].length))
      return others[i].refusal ? refused (error, others[i].message) : invalid (error, others[i].message);
  if (look->tail_length == USHER_IMAGE_TAIL_MAX && memcmp (look->tail, "koly", 4) == 0)
    return invalid (error, "it is an Apple disk image: qemu-img convert -f dmg -O qcow2 makes it a qcow2");
  if (look->file_size == 0 || look->file_size % SECTOR != 0)
    return invalid (error, "it is neither qcow2, vmdk, vhdx nor vpc, and no raw disk either: its size is not a multiple of 512 bytes");
  out->virtual_size = look->file_size;
  out->has_boot_record = has (look, SECTOR - 2, "\x55\xaa", 2);
  return TRUE;
}

gboolean
usher_image_head_parse (const guint8 *head, gsize head_length, const guint8 *tail, gsize tail_length, guint64 file_size,
                        UsherImageHead *out, GError **error)
{
  const Look look = { head, head_length, tail, tail_length, file_size };
  UsherImageHead found = { .format = USHER_IMAGE_RAW };
  gboolean done;

  if (has (&look, 0, "QFI\xfb", 4)) {
    found.format = USHER_IMAGE_QCOW2;
    done = parse_qcow2 (&look, &found, error);
  } else if (has (&look, 0, "KDMV", 4)) {
    found.format = USHER_IMAGE_VMDK;
    done = parse_vmdk (&look, &found, error);
  } else if (has (&look, 0, "vhdxfile", 8)) {
    found.format = USHER_IMAGE_VHDX;
    done = TRUE; /* QEMU knows no parents of a VHDX, and refuses them */
  } else if (has (&look, 0, "conectix", 8) && head_length >= SECTOR) {
    found.format = USHER_IMAGE_VPC;
    done = parse_vpc (head, error);
  } else if (tail_length == USHER_IMAGE_TAIL_MAX && memcmp (tail, "conectix", 8) == 0) {
    found.format = USHER_IMAGE_VPC;
    done = parse_vpc (tail, error);
  } else {
    done = parse_raw (&look, &found, error);
  }
  if (done)
    *out = found;
  return done;
}

static gssize
read_at (int fd, guint8 *buffer, gsize length, guint64 offset)
{
  gsize done = 0;

  while (done < length) {
    gssize got = pread (fd, buffer + done, length - done, (off_t) (offset + done));
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return -1;
    if (got == 0)
      break;
    done += (gsize) got;
  }
  return (gssize) done;
}

gboolean
usher_image_head_read (int fd, UsherImageHead *out, guint64 *out_file_size, GError **error)
{
  g_autofree guint8 *head = g_malloc (USHER_IMAGE_HEAD_MAX);
  guint8 tail[USHER_IMAGE_TAIL_MAX];
  struct stat status;
  gssize got, end = 0;

  if (fstat (fd, &status) != 0 || !S_ISREG (status.st_mode))
    return invalid (error, "it is not a regular file");
  got = read_at (fd, head, USHER_IMAGE_HEAD_MAX, 0);
  if (got >= 0 && status.st_size >= USHER_IMAGE_TAIL_MAX)
    end = read_at (fd, tail, USHER_IMAGE_TAIL_MAX, (guint64) status.st_size - USHER_IMAGE_TAIL_MAX);
  if (got < 0 || end < 0) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "it can't be read: %s", g_strerror (errno));
    return FALSE;
  }
  if (!usher_image_head_parse (head, (gsize) got, tail, (gsize) end, (guint64) status.st_size, out, error))
    return FALSE;
  *out_file_size = (guint64) status.st_size;
  return TRUE;
}
