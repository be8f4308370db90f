/* The golden templates on this host: TEMPLATE-DIR/NAME/VERSION/manifest.json and the files it names. */
#pragma once
#include <glib.h>
#include "templates/manifest.h"

typedef struct _UsherTemplateStore UsherTemplateStore;

/* One version that is usable: its manifest is good and its files are there. Paths absolute. */
typedef struct {
  UsherTemplateManifest *manifest;
  char *kernel, *initrd, *disk; /* NULL as in the manifest */
} UsherTemplateFiles;

UsherTemplateStore *usher_template_store_new (const char *dir);

/* "NAME/VERSION" of every version whose manifest is good and whose files are there; sorted, g_strfreev().
 * What is not usable is left out, and said in the log when it is first seen. Any thread. */
char **usher_template_store_list (UsherTemplateStore *store);

/* Opens one version. MISSING when this host lacks it; INVALID («broken image: …») when the manifest or a file is
 * not as it should be. Any thread. */
UsherTemplateFiles *usher_template_store_open (UsherTemplateStore *store, const char *name, gint64 version, GError **error);

/* Checks the disk against the manifest's SHA-256: INVALID («broken image: …»). Reads all of it the first time and
 * remembers the answer while the file stays the same. Blocks. Any thread. */
gboolean usher_template_store_check_disk (UsherTemplateStore *store, const UsherTemplateFiles *files, GError **error);

void usher_template_files_free (UsherTemplateFiles *files);
void usher_template_store_free (UsherTemplateStore *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherTemplateFiles, usher_template_files_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherTemplateStore, usher_template_store_free)
