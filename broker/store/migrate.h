/* Bringing the database to this program's schema: numbered SQL files (broker/store/migrations/), compiled in. */
#pragma once
#include <glib.h>

/* Applies what is missing, each migration in a transaction of its own, all under an advisory lock: any number
 * of brokers may do so at once. `conninfo` connects as the owner role; the runtime role `usher_broker` must exist.
 * CONFLICT when the database is newer than this program. Blocks; several seconds when another migrates. */
gboolean usher_store_migrate (const char *conninfo, GError **error);

/* The number of the newest migration compiled in. */
guint usher_store_schema_version (void);
