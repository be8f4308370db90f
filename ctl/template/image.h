/* A stranger's disk image becomes the disk of a template: looked at, then converted to a plain qcow2 by a confined child. */
#pragma once
#include <gio/gio.h>

/* Writes FOLDER/disk.qcow2, FOLDER being private to us. *out_virtual_size is in bytes, a multiple of 512. `bootable`: it must look as if
 * firmware could boot it. INVALID and REFUSED say what is wrong with the image (common/image/head.h), TOO_LARGE which limit it
 * reached. Shows progress; G_IO_ERROR_CANCELLED. */
gboolean usher_image_take_in (const char *path, const char *folder, gboolean bootable, GCancellable *cancellable,
                              gint64 *out_virtual_size, GError **error);

/* Pure. Whether QEMU would take such a name for something else than a file ("nbd://…", "json:{…}", "fat:rw:…"). */
gboolean usher_image_name_is_odd (const char *path);
