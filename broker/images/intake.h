/* From an upload to a version: every octet is checked, the version gets its number, its folder and its record, in this order.
 *
 *     checked ─► number (in the upload's row) ─► manifest.json ─► one rename ─► record, and the upload's row goes
 *
 * A broker that dies in between leaves what the same call takes up again, or what the sweep takes away. */
#pragma once
#include "broker/images/limits.h"
#include "broker/store/uploads.h"

/* Done already: the same answer again. INVALID: what came is not what was announced, or its image is not to be trusted;
 * *out_reasons (NULL before; owned by the caller) is a list of {"rule","message"}; a file with a wrong checksum is emptied, to be
 * sent again. REFUSED: the image refers to other files. BUSY: somebody works on it. MISSING. Blocks for as long as reading all
 * files takes. */
gboolean usher_images_take_in (const UsherImages *images, UsherStore *store, const UsherActor *actor, const char *id,
                               char **out_template, gint64 *out_version, json_t **out_reasons, GError **error);

/* Whether the folder of version upload->version is there and is this upload's. */
gboolean usher_images_is_placed (const UsherImages *images, const UsherUpload *upload);
