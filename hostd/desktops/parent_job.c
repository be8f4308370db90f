#include "hostd/desktops/parent_job.h"

#include "common/log.h"

UsherParentJob *
usher_parent_job_new (UsherParents *parents, UsherTemplateStore *templates, UsherParentAction action, const UsherParentKey *key,
                      gpointer owner)
{
  UsherParentJob *job = g_new0 (UsherParentJob, 1);
  *job = (UsherParentJob) { parents, templates, action, *key, owner };
  job->key.template_name = g_strdup (key->template_name);
  return job;
}

void
usher_parent_job_free (UsherParentJob *job)
{
  g_free (job->key.template_name);
  g_free (job);
}

void
usher_parent_outcome_free (UsherParentOutcome *outcome)
{
  g_clear_error (&outcome->failure);
  g_free (outcome);
}

static gboolean
same_key (const UsherParentKey *a, const UsherParentKey *b)
{
  return g_str_equal (a->template_name, b->template_name) && a->template_version == b->template_version && a->vcpus == b->vcpus
         && a->ram_mib == b->ram_mib;
}

static void
look (const UsherParentJob *job, UsherParentOutcome *outcome)
{
  g_autoptr (GPtrArray) all = usher_parents_list (job->parents, NULL);
  outcome->looked = all != NULL;
  for (guint i = 0; all != NULL && i < all->len; i++)
    {
      const UsherParentFound *found = all->pdata[i];
      if (!same_key (&found->key, &job->key))
        continue;
      outcome->stage = found->stage;
      outcome->begun_here = found->begun_here;
    }
}

static gboolean
begin (const UsherParentJob *job, UsherParentOutcome *outcome, GError **error)
{
  g_autoptr (UsherTemplateFiles) files = usher_template_store_open (job->templates, job->key.template_name,
                                                                    job->key.template_version, error);
  if (files == NULL)
    return FALSE;
  outcome->timeout_s = files->manifest->ready_timeout_s;
  return usher_parents_begin (job->parents, &job->key, error);
}

static gboolean
ask (const UsherParentJob *job, UsherParentOutcome *outcome, GError **error)
{
  return usher_parents_is_ready (job->parents, &job->key, &outcome->ready, error);
}

static gboolean
freeze (const UsherParentJob *job, UsherParentOutcome *outcome, GError **error)
{
  return usher_parents_freeze (job->parents, &job->key, error);
}

/* One that is damaged goes at once: the next is begun in its place. */
static gboolean
load (const UsherParentJob *job, UsherParentOutcome *outcome, GError **error)
{
  GError *problem = NULL;
  if (usher_parents_load (job->parents, &job->key, &problem))
    return TRUE;
  if (g_error_matches (problem, USHER_ERROR, USHER_ERROR_INVALID))
    {
      usher_log (USHER_LOG_WARNING, NULL, "parent %s/%" G_GINT64_FORMAT ": %s: it is built anew", job->key.template_name,
                 job->key.template_version, problem->message);
      g_error_free (problem);
      return usher_parents_retire (job->parents, &job->key, error);
    }
  g_propagate_error (error, problem);
  return FALSE;
}

static gboolean
discard (const UsherParentJob *job, UsherParentOutcome *outcome, GError **error)
{
  return usher_parents_discard (job->parents, &job->key, error);
}

/* Success: nothing more is tried now. */
static gboolean
give_up (const UsherParentJob *job, UsherParentOutcome *outcome, GError **error)
{
  if (!usher_parents_discard (job->parents, &job->key, error))
    return FALSE;
  g_set_error (error, USHER_ERROR, USHER_ERROR_INTERNAL, "it was not ready in time");
  return FALSE;
}

static gboolean
retire (const UsherParentJob *job, UsherParentOutcome *outcome, GError **error)
{
  return usher_parents_retire (job->parents, &job->key, error);
}

static gboolean (*const funcs[]) (const UsherParentJob *job, UsherParentOutcome *outcome, GError **error) = {
  [USHER_PARENT_DO_BEGIN] = begin,     [USHER_PARENT_DO_ASK] = ask,         [USHER_PARENT_DO_FREEZE] = freeze,
  [USHER_PARENT_DO_LOAD] = load,       [USHER_PARENT_DO_DISCARD] = discard, [USHER_PARENT_DO_GIVE_UP] = give_up,
  [USHER_PARENT_DO_RETIRE] = retire,
};

UsherParentOutcome *
usher_parent_job_run (const UsherParentJob *job)
{
  UsherParentOutcome *outcome = g_new0 (UsherParentOutcome, 1);
  funcs[job->action](job, outcome, &outcome->failure);
  if (job->action != USHER_PARENT_DO_ASK || outcome->failure != NULL)
    look (job, outcome);
  return outcome;
}
