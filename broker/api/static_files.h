/* The portal's files: everything below a few directories, read into memory when the broker starts.
 *
 * A request is a look-up by name among what was found then, so there is no path to traverse, no listing,
 * and no disk in the main loop. Thread: any, once opened. */
#pragma once
#include <glib.h>

typedef struct _UsherStaticFiles UsherStaticFiles;

typedef struct {
  char *path;       /* as asked for, e.g. "/app.js" */
  const char *type; /* Content-Type */
  char *etag;       /* quoted */
  GBytes *bytes;
} UsherStaticFile;

UsherStaticFiles *usher_static_files_new (void);

/* Adds every regular file of a known type below `directory` as `prefix` + relative path ("" for the top);
 * names that begin with '.' are left out; index.html also answers for its folder's "/". An empty `directory`
 * adds nothing. INVALID names what can't be read, or that there is more than 64 MiB of it. */
gboolean usher_static_files_add (UsherStaticFiles *files, const char *prefix, const char *directory, GError **error);

/* `path` is decoded and untrusted; borrowed, NULL when there is no such file. */
const UsherStaticFile *usher_static_files_find (const UsherStaticFiles *files, const char *path);

/* The type by the name's suffix; NULL for one that is not served. */
const char *usher_static_type (const char *name);

/* Whether an If-None-Match header (untrusted, may be NULL) names `etag`. */
gboolean usher_etag_matches (const char *header, const char *etag);

void usher_static_files_free (UsherStaticFiles *files);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherStaticFiles, usher_static_files_free)
