/* The controllers: one thread with its own database connection that compares what is wanted with what is, acts, and
 * looks again. Level-triggered: a pass needs no memory of the one before, may be repeated, and may run in any number of
 * brokers at once.
 *
 *     wake (kinds) ──► 20 ms apart ──► pools: plan, retire ──► placement ──► sessions ──► wait
 *     tick (10 s) ───►                                           + silent hosts, old rows
 */
#pragma once
#include <glib.h>

typedef struct _UsherControllers UsherControllers;

/* Starts the thread. `conninfo` as for usher_store_new(). */
UsherControllers *usher_controllers_new (const char *conninfo);

/* Something of `kinds` (USHER_KIND_BITs) changed: a pass is made soon. Any thread; never blocks. */
void usher_controllers_wake (UsherControllers *controllers, guint kinds);

/* Passes made without an error since the start; for health and tests. */
guint usher_controllers_get_passes (UsherControllers *controllers);

/* Lets the running pass end, joins the thread. */
void usher_controllers_free (UsherControllers *controllers);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherControllers, usher_controllers_free)
