/* Template versions on their way in: what is to come, and the number a version gets. Their octets lie in the broker's
 * folder (broker/images/), which knows how much of them has come. */
#pragma once
#include "broker/store/store.h"

typedef struct {
  char id[USHER_ID_SIZE];
  char *template;
  json_t *manifest; /* as it was sent: without version, parent, note and files */
  json_t *files;    /* [{"file","size","sha256"}] */
  char *note;
  char *created_by;
  char *digest;     /* of all that makes the version what it is */
  gint64 parent;    /* 0: none */
  gint64 version;   /* the number it was given; 0: none yet */
} UsherUpload;

/* What begins an upload; the values were checked. Borrowed. */
typedef struct {
  const char *template, *note, *digest;
  const json_t *manifest, *files;
  gint64 parent;
} UsherUploadWish;

typedef enum {
  USHER_UPLOAD_NEW,
  USHER_UPLOAD_OLD,  /* the same was begun before */
  USHER_UPLOAD_DONE, /* such a version is there: *out_version */
} UsherUploadBegun;

/* Begins an upload, or finds the one with this digest again. EXHAUSTED when `limit` others are under way; CONFLICT when
 * there is no version `parent` of that template. Audited when new. *out_upload is untouched when DONE. */
gboolean usher_store_upload_begin (UsherStore *store, const UsherActor *actor, const UsherUploadWish *wish, guint limit,
                                   UsherUploadBegun *out_begun, UsherUpload **out_upload, gint64 *out_version, GError **error);

/* MISSING; INVALID for what cannot be an id. Notes that somebody goes on with it. */
UsherUpload *usher_store_upload_find (UsherStore *store, const char *id, GError **error);

/* The same, and nothing is noted. */
UsherUpload *usher_store_upload_peek (UsherStore *store, const char *id, GError **error);

/* The version that an upload became; *out_done FALSE when there is none. INVALID for what cannot be an id. */
gboolean usher_store_upload_result (UsherStore *store, const char *id, gboolean *out_done, char **out_template, gint64 *out_version,
                                    GError **error);

/* Gives the upload the next number of its template, at least `at_least` and never one that a record, a host, a pool or
 * another upload has; one it had before is given up. */
gboolean usher_store_upload_number (UsherStore *store, const char *id, gint64 at_least, gint64 *out_version, GError **error);

/* The upload becomes the record of version upload->version: `manifest` and `files` as they lie in the folder. Done already:
 * nothing happens. Audited. */
gboolean usher_store_upload_finish (UsherStore *store, const UsherActor *actor, const UsherUpload *upload,
                                    const json_t *manifest, const json_t *files, GError **error);

/* Forgets the upload; TRUE also when there is none. Audited with `why`. */
gboolean usher_store_upload_drop (UsherStore *store, const UsherActor *actor, const char *id, const char *why, GError **error);

/* Ids of uploads that nobody went on with for `idle_s`; NULL on error. Owned by the caller, NULL-terminated. */
char **usher_store_upload_list_idle (UsherStore *store, gint64 idle_s, GError **error);

/* Whether there is an upload of that id; for folders without one. */
gboolean usher_store_upload_exists (UsherStore *store, const char *id, gboolean *out_exists, GError **error);

void usher_upload_free (UsherUpload *upload);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherUpload, usher_upload_free)
