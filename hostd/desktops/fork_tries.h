/* Whether a desktop's system is forked: asked of its parent's keeper, and of how the tries so far went. */
#pragma once
#include "hostd/desktops/actions.h"
#include "hostd/desktops/keeper.h"

/* A fresh one is zeros. */
typedef struct {
  guint failures; /* in a row */
  char *failure;  /* of the last of them, as a reason for a linked clone */
} UsherForkTries;

void usher_fork_tries_clear (UsherForkTries *tries);

/* `keeper` NULL: no forks here, for the reason `why_not`. Asking keeps the parent. The reason is good until the main loop goes on. */
UsherForkView usher_fork_tries_view (const UsherForkTries *tries, UsherKeeper *keeper, const char *why_not,
                                     const UsherWantedDesktop *wanted, const UsherFacts *facts);

/* What came of a fork from `key`; the keeper is told too. */
void usher_fork_tries_note (UsherForkTries *tries, UsherKeeper *keeper, const UsherParentKey *key, const UsherOutcome *outcome);

/* The parent that `wanted` would be forked from; borrows its name. */
UsherParentKey usher_parent_key_of (const UsherWantedDesktop *wanted);
