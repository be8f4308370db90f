/* The memory of what was tried with one desktop. No clock here: `now` is the plan's, monotonic milliseconds. */
#pragma once
#include "hostd/desktops/actions.h"
#include "hostd/desktops/plan.h"

void usher_tried_note_success (UsherTried *tried);

/* What is only late counts for no failure when it is the first. */
void usher_tried_note_failure (UsherTried *tried, UsherAction action, const GError *failure, gint64 now);

/* Keeps it in step with what has been reached: `action` was done, and `facts` were seen afterwards. `wanted` may be NULL. */
void usher_tried_digest (UsherTried *tried, UsherAction action, const UsherWantedDesktop *wanted, const UsherFacts *facts, gint64 now);

/* Frees what it holds. */
void usher_tried_clear (UsherTried *tried);
