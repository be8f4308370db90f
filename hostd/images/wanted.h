/* Template versions as the broker wants them: copies, and whether one is fit to touch the disk with. Pure. */
#pragma once
#include "common/rpc/sync.h"

#define USHER_IMAGE_FILES_MAX 16
#define USHER_IMAGE_BYTES_MAX (G_GINT64_CONSTANT (1) << 46) /* of all files together: 64 TiB */

/* A copy, its files in the order they are best fetched in: the smallest first, so that what is begun again after a cut
 * is the large one at the end. */
UsherWantedVersion *usher_wanted_version_copy (const UsherWantedVersion *from);

/* Whether both are the same files. */
gboolean usher_wanted_version_equal (const UsherWantedVersion *copy, const UsherWantedVersion *other);

/* INVALID, naming the member, unless the names are plain ones, manifest.json is among the files, each is there once,
 * has a size and a SHA-256, and all are not too many nor too large. */
gboolean usher_wanted_version_check (const UsherWantedVersion *version, GError **error);

/* Bytes of all files. Of a checked version. */
gint64 usher_wanted_version_bytes (const UsherWantedVersion *version);

/* "NAME/VERSION"; owned by the caller. */
char *usher_version_key (const char *name, gint64 version);
