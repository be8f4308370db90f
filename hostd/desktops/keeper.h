/* Keeps the parents of instant clones: those that the broker lists are kept ready, and those that a desktop waits for. Lives in
 * the main context; blocking work goes to a pool of its own, so that a boot never takes a worker that a fork needs, and a boot is
 * waited for by timers.
 *
 *     broker's list, desktops that ask ──► wanted ─► plan (pure) ─► job on a worker ─► stage ─► changed()
 *
 * A parent that nobody lists and nobody has asked for in a while is retired; one that is held is retired when it is let go. */
#pragma once
#include "common/rpc/sync.h"
#include "common/workers.h"
#include "hostd/clone/parents.h"
#include "hostd/desktops/plan.h"

typedef struct _UsherKeeper UsherKeeper;

/* What is to be reported of parents, or what desktops may expect of them, changed. */
typedef void (*UsherKeeperChanged) (gpointer user_data);

/* Borrows all, which must outlive it (free the workers first: their jobs answer to the keeper). */
UsherKeeper *usher_keeper_new (UsherParents *parents, UsherTemplateStore *templates, UsherWorkers *workers,
                               UsherKeeperChanged changed, gpointer user_data);
void usher_keeper_free (UsherKeeper *keeper);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherKeeper, usher_keeper_free)

/* Takes over the list of those to be kept ready, of UsherParentKey. Before the first nothing is built and nothing retired. */
void usher_keeper_apply (UsherKeeper *keeper, const GPtrArray *keys);

/* What a desktop that is to be forked from `key` can expect; and the parent is wanted for some time, whether it is listed or not.
 * The reason is good until the main loop goes on. */
UsherForkView usher_keeper_ask (UsherKeeper *keeper, const UsherParentKey *key);

/* A fork from `key` succeeded (failure NULL) or failed. */
void usher_keeper_forked (UsherKeeper *keeper, const UsherParentKey *key, const GError *failure);

/* What was in the way may be gone (libvirt is back, a version came): nothing waits out its pause. */
void usher_keeper_retry (UsherKeeper *keeper);

/* Desktops or their system disks went: disks of former parents may go too, in a moment. */
void usher_keeper_collect (UsherKeeper *keeper);

/* Appends a UsherSeenParent for each parent that is wanted. */
void usher_keeper_report (const UsherKeeper *keeper, GPtrArray *into);
