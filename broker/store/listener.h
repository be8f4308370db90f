/* Tells that records changed: one LISTEN connection, on the main loop, never blocking.
 *
 * A lost connection is made again (after 0.2 s, then up to 5 s apart); once it listens again `changed` is
 * called with every kind, since anything may have changed in between. A notice carries no data: look again. */
#pragma once
#include <glib.h>
#include "broker/store/kind.h"

typedef struct _UsherStoreListener UsherStoreListener;

/* `kinds` is a set of USHER_KIND_BITs. Called in the main context that was thread-default at creation;
 * notices that came together are one call. */
typedef void (*UsherStoreChanged) (guint kinds, gpointer user_data);

/* Starts connecting at once; the first success calls `changed` with every kind. */
UsherStoreListener *usher_store_listener_new (const char *conninfo, UsherStoreChanged changed, gpointer user_data);

/* Whether it listens now. */
gboolean usher_store_listener_is_up (const UsherStoreListener *listener);

void usher_store_listener_free (UsherStoreListener *listener);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherStoreListener, usher_store_listener_free)
