/* systemd's fd store: descriptors that outlive this process and come back when the service is started again. Without
 * systemd nothing is kept and nothing comes. Any thread. */
#pragma once
#include <glib.h>

typedef struct _UsherFdStore UsherFdStore;

/* Takes what systemd handed to this process. */
UsherFdStore *usher_fd_store_new (void);
/* Closes what was not taken; systemd keeps its own. */
void usher_fd_store_free (UsherFdStore *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherFdStore, usher_fd_store_free)

/* What came back under `name`, which is the caller's then; -1. */
int usher_fd_store_take (UsherFdStore *store, const char *name);

/* Has systemd keep a duplicate under `name`, in the place of another of that name. */
void usher_fd_store_put (UsherFdStore *store, const char *name, int fd);
void usher_fd_store_drop (UsherFdStore *store, const char *name);

/* Names of what came back and was not taken: g_strfreev(). */
char **usher_fd_store_list (UsherFdStore *store);
