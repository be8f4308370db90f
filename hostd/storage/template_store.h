/* The golden templates on this host: ROOT/NAME/VERSION/manifest.json and the files it names. A host has a root of its
 * own, and may see others that it shares with the broker or other hosts; those are looked at first, and only read. */
#pragma once
#include <glib.h>
#include "templates/manifest.h"

typedef struct _UsherTemplateStore UsherTemplateStore;

/* One version that is usable: its manifest is good and its files are there. Paths absolute. While it is open, nobody can
 * lock that version out: free it before the store. */
typedef struct {
  UsherTemplateManifest *manifest;
  char *kernel, *initrd, *disk; /* NULL as in the manifest */
  UsherTemplateStore *store;    /* NULL: of none */
  char *dir;
} UsherTemplateFiles;

/* `dir`: the host's own root. */
UsherTemplateStore *usher_template_store_new (const char *dir);

/* One more root, looked at after those that were added before it, and before our own. To be called before others use the store. */
void usher_template_store_add_shared (UsherTemplateStore *store, const char *dir);

/* The host's own root; borrowed. */
const char *usher_template_store_get_dir (const UsherTemplateStore *store);

/* "NAME/VERSION" of every version whose manifest is good and whose files are there; sorted, g_strfreev().
 * What is not usable is left out, and said in the log when it is first seen. Any thread. */
char **usher_template_store_list (UsherTemplateStore *store);

/* Opens one version, of the first root that has it usable. MISSING when this host lacks it; INVALID («broken image: …»)
 * when the manifest or a file is not as it should be; UNAVAILABLE while it is locked out. Any thread. */
UsherTemplateFiles *usher_template_store_open (UsherTemplateStore *store, const char *name, gint64 version, GError **error);

/* Checks the disk against the manifest's SHA-256: INVALID («broken image: …»). Reads all of it the first time and
 * remembers the answer while the file stays the same. Blocks. Any thread. */
gboolean usher_template_store_check_disk (UsherTemplateStore *store, const UsherTemplateFiles *files, GError **error);

/* Whether `dir` holds such a version, whole: errors as with usher_template_store_open(). Any thread. */
gboolean usher_template_dir_check (const char *dir, const char *name, gint64 version, GError **error);

/* Says that the file's SHA-256 is known to be `sha256`, so that it need not be read for that. Any thread. */
void usher_template_store_note_sum (UsherTemplateStore *store, const char *path, const char *sha256);

/* Keeps a version of our own root from being opened until usher_template_store_let_in(), so that it can be removed;
 * FALSE when somebody has it open. Any thread. */
gboolean usher_template_store_lock_out (UsherTemplateStore *store, const char *name, gint64 version);
void usher_template_store_let_in (UsherTemplateStore *store, const char *name, gint64 version);

void usher_template_files_free (UsherTemplateFiles *files);
void usher_template_store_free (UsherTemplateStore *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherTemplateFiles, usher_template_files_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherTemplateStore, usher_template_store_free)
