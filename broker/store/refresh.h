/* Inside of broker/store/: a fresh system for a desktop. In the caller's transaction. */
#pragma once
#include "broker/store/store.h"

/* One system_revision more, from what the pool wants now; sessions from before end. *out_count 0: it is not one whose system
 * is made anew (see UsherAssignment), or it is not on a host. */
gboolean usher_desktop_refresh (UsherStore *store, const char *id, const char *message, gint64 *out_count, GError **error);
