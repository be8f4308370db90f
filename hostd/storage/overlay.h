/* qcow2 overlays, made and read in this process: running qemu-img costs more than the whole file. */
#pragma once
#include <glib.h>

/* Makes `path` an empty qcow2 overlay on `base` (a qcow2 file, absolute path, as large as the overlay then is), mode 0600; replaces what is there, by
 * rename; not flushed to the disk. INVALID («broken image: …») when `base` is no qcow2; EXHAUSTED («disk full: …»). */
gboolean usher_overlay_make (const char *path, const char *base, GError **error);

/* The backing file that the qcow2 `path` names; *out NULL when it has none. Owned by the caller. MISSING when there is no file, INVALID when it is no qcow2. */
gboolean usher_overlay_read_base (const char *path, char **out, GError **error);
