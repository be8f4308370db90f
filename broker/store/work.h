/* What the controllers gather and carry out (broker/controllers/ decides). Each function that changes something
 * is one transaction that looks again at what it acts on: any number of brokers may run them at once. */
#pragma once
#include "broker/store/store.h"
#include "policies/leaving.h"
#include "policies/placement.h"
#include "policies/pool_plan.h"

/* ---- pools ---- */

/* The ids of all pools; NULL on error. Owned by the caller, NULL-terminated. */
char **usher_work_list_pools (UsherStore *store, GError **error);

/* What is decided for a pool from its counts; see usher_pool_plan(). */
typedef UsherPoolPlan (*UsherWorkPlan) (const UsherPoolCounts *counts);

/* Under the pool's lock (a pool another broker works on is left to it): counts, asks `plan`, plans desktops, drains
 * extra and failed ones, writes the pool's status; a deleted pool's desktops all drain, and it goes with the last.
 * *out_again_s (untouched when there is no need): look again after so many seconds. */
gboolean usher_work_on_pool (UsherStore *store, const char *pool, UsherWorkPlan plan, guint *out_again_s,
                             GError **error);

/* In the caller's transaction, under the pool's lock: a desktop more, planned. `owner` may be NULL. */
gboolean usher_work_plan_desktop (UsherStore *store, const char *pool, const char *owner, const char *why,
                                  GError **error);

/* ---- placement ---- */

typedef gssize (*UsherWorkChoose) (const UsherPlacementWish *wish, const UsherPlacementHost *hosts, gsize n_hosts,
                                   GPtrArray *out_reasons);

/* Places planned desktops, those that somebody waits for first; one broker at a time (*out_placed is 0 when another
 * does). What cannot be placed keeps its reasons; *out_left says how many. */
gboolean usher_work_place (UsherStore *store, UsherWorkChoose choose, guint *out_placed, guint *out_left,
                           GError **error);

/* ---- people who left ---- */

/* What is decided for the desktop of somebody without a sign-in; see usher_leaving_plan(). */
typedef UsherLeavingPlan (*UsherWorkLeaving) (const UsherLeaving *leaving);

/* In the caller's transaction, at once: wipes or refreshes what the person leaves behind, unless there is another sign-in. */
gboolean usher_work_leave_person (UsherStore *store, const UsherActor *actor, const char *person, UsherWorkLeaving decide,
                                  GError **error);

/* The same for everybody, one transaction a desktop: those whose sign-in ran out. *out_again_s as usher_work_on_pool(). */
gboolean usher_work_leave (UsherStore *store, UsherWorkLeaving decide, guint *out_again_s, GError **error);

/* ---- the rest ---- */

/* Sessions whose ticket ran out, that never became active, whose desktop went, or that are disconnected for long:
 * ended. */
gboolean usher_work_end_sessions (UsherStore *store, guint *out_ended, GError **error);

/* Desktops that drain and were never placed: gone. */
gboolean usher_work_drop_unplaced (UsherStore *store, GError **error);

/* Marks silent hosts for watchers. */
gboolean usher_work_mark_silent (UsherStore *store, GError **error);

/* Forgets what is old: sign-in sessions, attempts, join tokens, tombstones (an hour), ended sessions (30 days). */
gboolean usher_work_forget (UsherStore *store, GError **error);

/* Tells listeners of audit lines after *seq (0: only learns where the trail ends) and moves *seq on. Audit lines give
 * no notice of their own: notices make commits wait for each other. */
gboolean usher_work_announce_audit (UsherStore *store, gint64 *seq, GError **error);
