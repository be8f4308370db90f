/* What a stranger's disk image says of itself in its first bytes, read by us before any program opens it: the format is
 * told to qemu-img, never guessed by it, and what would make it open another file is refused here. Pure. */
#pragma once
#include <glib.h>

#define USHER_IMAGE_HEAD_MAX (128 * 1024) /* so much of the beginning is looked at */
#define USHER_IMAGE_TAIL_MAX 512          /* and of the end */

typedef enum {
  USHER_IMAGE_RAW, /* nothing else was recognised */
  USHER_IMAGE_QCOW2,
  USHER_IMAGE_VMDK,
  USHER_IMAGE_VHDX,
  USHER_IMAGE_VPC,
} UsherImageFormat;

typedef struct {
  UsherImageFormat format;
  guint64 virtual_size;    /* bytes the guest sees; 0: only qemu-img can tell (vhdx, vpc) */
  guint snapshots;         /* kept inside a qcow2 */
  gboolean has_boot_record; /* raw: the first sector ends in 55 AA */
} UsherImageHead;

/* As qemu-img's -f takes it; static. */
const char *usher_image_format_name (UsherImageFormat format);

/* `head` is the file's beginning (all of it when it is shorter than USHER_IMAGE_HEAD_MAX), `tail` its last bytes. INVALID: it
 * is damaged, or not a disk's image (an archive, an installation CD). REFUSED: it refers to other files (a backing file, an
 * external data file, extents, a parent) or is encrypted. *out is untouched then. */
gboolean usher_image_head_parse (const guint8 *head, gsize head_length, const guint8 *tail, gsize tail_length, guint64 file_size,
                                 UsherImageHead *out, GError **error);

/* Of an open regular file. Besides: INVALID for what is no regular file, UNAVAILABLE when it can't be read. */
gboolean usher_image_head_read (int fd, UsherImageHead *out, guint64 *out_file_size, GError **error);
