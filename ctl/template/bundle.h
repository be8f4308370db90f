/* A template version on its way to the broker: a manifest and the files it names, looked at and summed up. */
#pragma once
#include <gio/gio.h>
#include <jansson.h>

typedef struct {
  char *name, *path;
  guint64 size;
  char *sha256;
} UsherBundleFile;

typedef struct {
  char *name;        /* the template's */
  json_t *manifest;  /* without version, parent, note and files: the broker gives those */
  char *note;        /* what the manifest said; NULL nothing */
  GPtrArray *files;  /* of UsherBundleFile */
  guint64 size;      /* of all files */
} UsherBundle;

/* Whether `manifest` would do but for its disk's checksum, which may be missing. INVALID, by path. */
gboolean usher_bundle_check (const json_t *manifest, GError **error);

/* Of `manifest` (borrowed) with its files in `directory`. INVALID for what is wrong in the manifest, by path, and for a file that is
 * not as it says; MISSING for a file that is not there. A disk without a checksum gets its own. Shows progress while it reads;
 * G_IO_ERROR_CANCELLED. */
UsherBundle *usher_bundle_new (const json_t *manifest, const char *directory, GCancellable *cancellable, GError **error);

/* Of DIRECTORY/manifest.json. `name` (may be NULL) is put in place of the manifest's. */
UsherBundle *usher_bundle_open (const char *directory, const char *name, GCancellable *cancellable, GError **error);

/* [{"file", "size", "sha256"}…], a new reference. */
json_t *usher_bundle_files (const UsherBundle *bundle);

void usher_bundle_free (UsherBundle *bundle);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherBundle, usher_bundle_free)
