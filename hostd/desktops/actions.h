/* Carrying out one action on one desktop, and looking: the blocking half of hostd/desktops, for worker threads.
 * Of one desktop only one job runs at a time; the engine sees to it. */
#pragma once
#include "common/secret.h"
#include "hostd/clone/parents.h"
#include "hostd/desktops/plan.h"
#include "hostd/storage/desktop_dir.h"
#include "hostd/storage/template_store.h"
#include "hostd/virt/virt.h"

/* What actions stand on; shared by all jobs, read only. */
typedef struct {
  UsherVirt *virt;
  UsherDesktopDirs *dirs;
  UsherTemplateStore *templates;
  UsherParents *parents; /* NULL: no instant clones here */
  const char *deployment, *domain_type, *consoles_dir;
} UsherGround;

/* Ids of everything of ours on this host: domains, directories, console files; each once. g_strfreev(). */
char **usher_ground_scan (const UsherGround *ground, GError **error);

/* One job: owns what it holds. */
typedef struct {
  const UsherGround *ground;
  UsherAction action;
  char id[USHER_ID_SIZE];
  /* of the wanted desktop; empty when nothing is wanted */
  char *name, *template_name, *user;
  gint64 template_version, vcpus, ram_mib, restart_revision, console_revision, console_valid_until, system_revision, data_gib;
  UsherSecret *console_secret;
  UsherParent *parent; /* held, to be forked from; NULL otherwise */
  char *clone_reason;  /* why linked though instant is wanted; "" otherwise */
} UsherJob;

/* `wanted` may be NULL for DO_NOTHING, which only looks. DO_FORK needs a parent, DO_CLONE a clone_reason: set them in the job. */
UsherJob *usher_job_new (const UsherGround *ground, UsherAction action, const char *id, const UsherWantedDesktop *wanted);
void usher_job_free (UsherJob *job);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherJob, usher_job_free)

/* What came of a job. */
typedef struct {
  GError *failure;  /* of the action; NULL: done */
  gboolean looked;  /* `facts` holds what is seen afterwards */
  UsherFacts facts;
  GError *blind;    /* why not looked */
  char *note;       /* what a person should know, e.g. why it was started again; may be NULL */
} UsherOutcome;

/* Does the action and looks. Never returns NULL. */
UsherOutcome *usher_job_run (const UsherJob *job);
void usher_outcome_free (UsherOutcome *outcome);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherOutcome, usher_outcome_free)
