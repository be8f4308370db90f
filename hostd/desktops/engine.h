/* Keeps every desktop of this host on its way from what is seen to what is wanted. Lives in the main context;
 * blocking work goes to a pool, one job per desktop at a time.
 *
 *        broker's answer ──► wanted ─┐
 *                                    ├─► plan (pure) ─► job on a worker: act, then look ─► seen ─┐
 *     libvirt's events, looks ──► facts ◄──────────────────────────────────────────────────────┘ │
 *                keeper's parents ──► may it be forked?                                             │
 *                                                                          changed() ◄──────────────┘ */
#pragma once
#include "common/rpc/sync.h"
#include "common/workers.h"
#include "hostd/desktops/actions.h"
#include "hostd/desktops/keeper.h"

typedef struct _UsherEngine UsherEngine;

/* What is seen differs from before: time to report. */
typedef void (*UsherEngineChanged) (gpointer user_data);

/* Why a desktop has to wait for that template version, for people, and whether it does not come for now; NULL when it need
 * not wait. Owned by the caller. */
typedef char *(*UsherEngineWaiting) (const char *template_name, gint64 version, gboolean *out_failed, gpointer user_data);

/* Borrows `ground` and `workers`, which outlive it (free the workers first: their jobs answer to the engine). */
UsherEngine *usher_engine_new (const UsherGround *ground, UsherWorkers *workers, gint64 shutdown_ms, UsherEngineChanged changed,
                               gpointer user_data);

/* Looks for everything of ours on this host, now and after libvirt was away; until that succeeded once
 * usher_engine_is_ready() is FALSE and nothing may be reported. */
void usher_engine_scan (UsherEngine *engine);
gboolean usher_engine_is_ready (const UsherEngine *engine);

/* An event of libvirt's. */
void usher_engine_event (UsherEngine *engine, UsherVirtEvent event, const char *id);

/* Takes over what is wanted. A desktop that the answer does not name is left alone. */
void usher_engine_apply (UsherEngine *engine, const UsherSyncAnswer *answer);

/* Whom to ask before a desktop is made; nobody at first. */
void usher_engine_set_waiting (UsherEngine *engine, UsherEngineWaiting waiting, gpointer user_data);

/* What that says may differ now; `arrived`: a version became usable, so that what failed for want of it is tried at once. */
void usher_engine_templates_changed (UsherEngine *engine, gboolean arrived);

/* Appends a UsherSeenDesktop for each desktop. */
void usher_engine_report (const UsherEngine *engine, GPtrArray *into);

/* Where desktops' parents come from; borrowed. Without it instant clones are made linked, for the reason given («…»). */
void usher_engine_set_keeper (UsherEngine *engine, UsherKeeper *keeper, const char *why_not);

/* What may be expected of parents changed: those that wait look anew. */
void usher_engine_parents_changed (UsherEngine *engine);

void usher_engine_free (UsherEngine *engine);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherEngine, usher_engine_free)
