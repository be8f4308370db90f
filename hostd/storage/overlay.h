/* qcow2 overlays, made and read in this process: running qemu-img costs more than the whole file. The layout is that
 * of QEMU's docs/interop/qcow2.txt, version 3. Calls block; any thread. */
#pragma once
#include <glib.h>

/* Makes `path` an empty qcow2 overlay on `base` (a qcow2 file, absolute path; the overlay is as large), mode 0600;
 * replaces what is there, by rename; not flushed to the disk. INVALID («broken image: …») when `base` is no qcow2;
 * EXHAUSTED («disk full: …»). */
gboolean usher_overlay_make (const char *path, const char *base, GError **error);

/* The backing file that the qcow2 `path` names, owned by the caller; *out NULL when it has none. MISSING when there is
 * no such file, INVALID when it is no qcow2. */
gboolean usher_overlay_read_base (const char *path, char **out, GError **error);
