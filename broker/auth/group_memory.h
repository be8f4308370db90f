/* What groups are in, remembered for some seconds: at nine in the morning thousands of people come, from the same few groups.
 * Which groups a person is in is asked at each sign-in; only the climb from there is spared. Internal to broker/auth; belongs
 * to one thread. A set of groups is a table, DN key → group name. */
#pragma once
#include <glib.h>

typedef struct _UsherGroupMemory UsherGroupMemory;

UsherGroupMemory *usher_group_memory_new (gint64 keep_us);

/* One text for a set of groups, in whatever order they were found; owned by the caller. */
char *usher_group_memory_key (GHashTable *groups);

/* The set that the climb from the set `key` found less than `keep_us` before `now_us` (monotonic); a new reference, not to be
 * changed. NULL: not known. */
GHashTable *usher_group_memory_get (UsherGroupMemory *memory, const char *key, gint64 now_us);

/* Keeps a reference to `groups`, which must not change any more. */
void usher_group_memory_put (UsherGroupMemory *memory, const char *key, GHashTable *groups, gint64 now_us);

void usher_group_memory_free (UsherGroupMemory *memory);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherGroupMemory, usher_group_memory_free)
