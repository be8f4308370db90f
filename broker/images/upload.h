/* The octets of an upload: what has come, and what comes. */
#pragma once
#include "broker/images/limits.h"
#include "broker/store/uploads.h"

#define USHER_UPLOAD_CHUNK_MAX (1024 * 1024)

/* [{"file","received"}] of an upload, whose folder is made when it is not there. EXHAUSTED when the rest has no room. New
 * reference. */
json_t *usher_upload_received (const UsherImages *images, const UsherUpload *upload, GError **error);

/* Adds `bytes` at `offset` of one of the upload's files. *out_received is set whenever it is known. MISSING: no such file. CONFLICT:
 * `offset` is not what was received, or it is moved away already. TOO_LARGE: beyond the file's size. EXHAUSTED: disk full.
 * BUSY: another request writes it. */
gboolean usher_upload_write (const UsherImages *images, const UsherUpload *upload, const char *file, gint64 offset, GBytes *bytes,
                             gint64 *out_received, GError **error);

/* Removes what has come of it, once its record is gone. */
gboolean usher_upload_remove (const UsherImages *images, const char *id, GError **error);
