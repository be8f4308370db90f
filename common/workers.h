/* A bounded pool of threads for one blocking dependency (PostgreSQL, LDAP, libvirt, commands).
 *
 * submit() never blocks: when the queue is full it fails at once with USHER_ERROR_BUSY. A job that was
 * not begun before its deadline is not begun: it ends with USHER_ERROR_UNAVAILABLE.
 *
 *     main context ── submit ──► queue (bounded) ──► thread: func (state, job)
 *          ▲                                                │
 *          └────────────── done (result, error) ◄───────────┘
 */
#pragma once
#include <glib.h>

typedef struct _UsherWorkers UsherWorkers;

/* Per-thread state, e.g. a PGconn: made on the thread before its first job, freed on it at the end. */
typedef gpointer (*UsherWorkersStart) (gpointer user_data);
typedef void (*UsherWorkersStop) (gpointer state);

/* Runs on a worker thread. Returns the result (any pointer, NULL allowed) or sets *error. */
typedef gpointer (*UsherWorkFunc) (gpointer state, gpointer job, GError **error);

/* Runs in the main context that was thread-default at submit (unless that context is gone). Owns
 * `result`, borrows `error` (NULL on success). Called exactly once for each accepted submit. */
typedef void (*UsherWorkDone) (gpointer result, const GError *error, gpointer user_data);

UsherWorkers *usher_workers_new (const char *name, guint threads, guint queue_limit, UsherWorkersStart start,
                                 UsherWorkersStop stop, gpointer user_data);

/* `job` is freed with `free_job` (may be NULL) on the worker thread after func, or at once on failure.
 * `deadline_ms` 0: none. `done` may be NULL. `free_result` frees a result that nobody can take. */
gboolean usher_workers_submit (UsherWorkers *workers, UsherWorkFunc func, gpointer job, GDestroyNotify free_job,
                               guint deadline_ms, UsherWorkDone done, gpointer user_data, GDestroyNotify free_result,
                               GError **error);

/* Jobs waiting and running. */
guint usher_workers_pending (UsherWorkers *workers);

/* Lets running jobs end, drops waiting ones (their done is called with UNAVAILABLE), joins the threads. */
void usher_workers_free (UsherWorkers *workers);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherWorkers, usher_workers_free)
