/* The starts that hostd has announced, and for which golden RAM may be handed out: once each, until their deadline.
 * Pure: times are given, in milliseconds of one monotonic clock. Not for several threads at once. */
#pragma once
#include <glib.h>

typedef struct _UsherPending UsherPending;

UsherPending *usher_pending_new (void);
void usher_pending_free (UsherPending *pending);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherPending, usher_pending_free)

/* Takes `fd`: closed unless it is taken. Replaces what stands for `id`. */
void usher_pending_add (UsherPending *pending, const char *id, const char *ticket, int fd, gint64 until_ms);

/* The descriptor announced for `id`, which is the caller's then; or -1 and why not (static). A wrong ticket spends
 * nothing. */
int usher_pending_take (UsherPending *pending, const char *id, const char *ticket, gint64 now_ms, const char **out_why);

void usher_pending_remove (UsherPending *pending, const char *id);
