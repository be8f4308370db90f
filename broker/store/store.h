/* The records, in PostgreSQL: one connection, for one thread.
 *
 * Make one in UsherWorkersStart, free it in UsherWorkersStop. It connects when first asked, and again after
 * the connection was lost. Every call blocks, at most about 15 s (statement, lock and answer time limits).
 *
 * Errors of every function of broker/store/, besides what each one says:
 *   UNAVAILABLE  the database is down, restarting or too slow. What was to be written may or may not be: ask again,
 *                every call here may be repeated (a repeated connect gives a new ticket, nothing twice)
 *   BUSY         a lock was not had in time
 *   CONFLICT     it changed meanwhile, or the name is taken
 *   EXHAUSTED    the database's disk is full
 *   INVALID      an id or name that cannot be one
 *   INTERNAL     a statement of ours is wrong
 *
 * The clock is PostgreSQL's everywhere: brokers' clocks may differ. All text is UTF-8. */
#pragma once
#include <glib.h>
#include <jansson.h>
#include "broker/store/console_key.h"
#include "broker/store/kind.h"
#include "common/error.h"
#include "common/id.h"

typedef struct _UsherStore UsherStore;

/* `conninfo` is a libpq connection string of the runtime role. `key` is shared and outlives the store; it may
 * be NULL where no console secret is touched (tests). */
UsherStore *usher_store_new (const char *conninfo, const UsherConsoleKey *key);
void usher_store_free (UsherStore *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherStore, usher_store_free)

/* Whether the database answers now, and has the schema this program was made for. */
gboolean usher_store_probe (UsherStore *store, GError **error);

/* The deployment's id, made when the database was. */
gboolean usher_store_get_deployment (UsherStore *store, char out[USHER_ID_SIZE], GError **error);

/* On whose behalf a call is made, for audit; any member may be NULL. Borrowed for the call. */
typedef struct {
  const char *name;    /* the person, "host kvm1", "gateway gw1" */
  const char *address; /* where from */
  const char *request; /* X-Usher-Request; an id */
} UsherActor;
