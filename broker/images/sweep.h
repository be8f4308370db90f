/* What nobody needs any more goes: idle uploads, folders of uploads without a record, files of retired versions. */
#pragma once
#include "broker/images/limits.h"
#include "broker/store/store.h"

/* Ends an upload and removes what came of it, wherever it lies. MISSING; BUSY when somebody works on it. */
gboolean usher_images_drop (const UsherImages *images, UsherStore *store, const UsherActor *actor, const char *id, const char *why,
                            GError **error);

/* One pass; any broker, any number of them at once. FALSE and the first error when something could not be removed. Blocks. */
gboolean usher_images_sweep (const UsherImages *images, UsherStore *store, GError **error);
