/* What stands on template versions on this host: which files disks go back to. Blocks; for worker threads. */
#pragma once
#include <glib.h>

typedef struct _UsherStanding UsherStanding;

/* Looks at every desktop's record and at every qcow2 file of desktops and parents under STATE (the backing file in its
 * header). NULL with UNAVAILABLE when one can't be read: then nobody knows, and nothing may be removed. */
UsherStanding *usher_standing_look (const char *state_dir, GError **error);

/* Whether something stands on version NAME/VERSION whose files are in `dir`. */
gboolean usher_standing_has (const UsherStanding *standing, const char *name, gint64 version, const char *dir);

void usher_standing_free (UsherStanding *standing);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherStanding, usher_standing_free)

/* The backing file that a qcow2 image's header names, from the first `length` bytes of the image (layout: QEMU's
 * docs/interop/qcow2.txt). TRUE with *out NULL when it has none or this is no qcow2 image; FALSE when the header is damaged, or the
 * name lies beyond `length`. */
gboolean usher_qcow2_backing (const guint8 *head, gsize length, char **out);
#define USHER_QCOW2_HEAD 65536 /* QEMU puts the name into the first cluster */
