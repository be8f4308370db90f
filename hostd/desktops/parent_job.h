/* Carrying out one step of one parent, and looking: the blocking half of the keeper, for worker threads. Of one parent only one job runs at a
 * time; the keeper sees to it. */
#pragma once
#include "hostd/desktops/parent_plan.h"

/* One job: owns its key's name, borrows the rest. */
typedef struct {
  UsherParents *parents;
  UsherTemplateStore *templates;
  UsherParentAction action;
  UsherParentKey key;
  gpointer owner; /* the caller's own */
} UsherParentJob;

typedef struct {
  GError *failure;
  gboolean ready;      /* of USHER_PARENT_DO_ASK */
  gint64 timeout_s;    /* of USHER_PARENT_DO_BEGIN: the template's */
  gboolean looked;     /* the rest is what was found afterwards */
  UsherParentStage stage;
  gboolean begun_here;
} UsherParentOutcome;

UsherParentJob *usher_parent_job_new (UsherParents *parents, UsherTemplateStore *templates, UsherParentAction action,
                                      const UsherParentKey *key, gpointer owner);
void usher_parent_job_free (UsherParentJob *job);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherParentJob, usher_parent_job_free)

/* Never returns NULL. */
UsherParentOutcome *usher_parent_job_run (const UsherParentJob *job);
void usher_parent_outcome_free (UsherParentOutcome *outcome);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherParentOutcome, usher_parent_outcome_free)
