/* Handing the golden RAM to usher-emulator: a unix socket that QEMU's user alone can reach, and the starts that were
 * announced. Each announcement is good for one handing-out. handover.h has the wire. */
#pragma once
#include <glib.h>
#include "common/id.h"

typedef struct _UsherGolden UsherGolden;

/* Listens on `path` (replaced when there) on a thread of its own. `emulator`: only a process that runs this very file
 * is served. INTERNAL when it can't listen. */
UsherGolden *usher_golden_new (const char *path, const char *emulator, GError **error);
void usher_golden_free (UsherGolden *golden);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherGolden, usher_golden_free)

/* Borrowed. */
const char *usher_golden_get_path (const UsherGolden *golden);

/* Announces one start of domain `id`: who shows the ticket within `ttl_s` gets a duplicate of `fd`. The caller keeps
 * `fd`. Replaces an earlier announcement for `id`. Any thread, never blocks. EXHAUSTED: no descriptor left. */
gboolean usher_golden_announce (UsherGolden *golden, const char *id, int fd, guint ttl_s, char out_ticket[USHER_TOKEN_SIZE],
                                GError **error);

/* Withdraws what was announced for `id`, if it was not taken. Any thread. */
void usher_golden_withdraw (UsherGolden *golden, const char *id);
