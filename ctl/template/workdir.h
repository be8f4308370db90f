/* A private folder for something large that is there only while a command runs. It is removed at the end, and what a command
 * that was killed left is removed by the next one. */
#pragma once
#include <glib.h>

typedef struct _UsherWorkdir UsherWorkdir;

/* Below $TMPDIR, else /var/tmp (not /tmp: that may be memory). UNAVAILABLE. */
UsherWorkdir *usher_workdir_new (GError **error);

const char *usher_workdir_get_path (const UsherWorkdir *workdir);

void usher_workdir_free (UsherWorkdir *workdir);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherWorkdir, usher_workdir_free)
