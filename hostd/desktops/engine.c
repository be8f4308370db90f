#include "hostd/desktops/engine.h"

#include "common/error.h"
#include "common/log.h"
#include "hostd/desktops/fork_tries.h"
#include "hostd/desktops/tried.h"

#define REPEAT_MS 1000           /* an action that changed nothing is not repeated sooner */
#define UNKNOWN_RETRY_MS 1000    /* what could not be found out is asked again */
#define SCAN_EVERY_S 60          /* against events that were lost */
#define SCAN_RETRY_S 1

typedef struct {
  UsherEngine *engine;
  char id[USHER_ID_SIZE];
  UsherWantedDesktop *wanted; /* NULL: the broker has not said */
  UsherFacts facts;
  UsherTried tried;
  UsherForkTries forks;
  gboolean busy;         /* a job of it is with the workers */
  gboolean stale;        /* something happened: look before planning */
  gboolean dropped;      /* not in the table any more: free it when its job is back */
  UsherAction last_action;
  gint64 last_action_at;
  gint64 look_at;        /* no look before: the last one could not find out */
  guint timer;
  /* as last reported */
  UsherSeenState seen;
  char *reason;
} Desktop;

struct _UsherEngine {
  const UsherGround *ground;
  UsherWorkers *workers;
  UsherKeeper *keeper;
  char *why_no_keeper;
  gint64 shutdown_ms;
  UsherEngineChanged changed;
  gpointer user_data;
  UsherEngineWaiting waiting; /* NULL: nobody to ask */
  gpointer waiting_data;
  GHashTable *desktops; /* id → Desktop */
  gboolean ready, scanning, rescan, libvirt_away;
  guint scan_timer;
};

static void go_on (Desktop *desktop);

static gint64
now_ms (void)
{
  return g_get_monotonic_time () / 1000;
}

static gint64
now_s (void)
{
  return g_get_real_time () / G_USEC_PER_SEC;
}

/* ---- the table ---- */

static UsherWantedDesktop *
copy_wanted (const UsherWantedDesktop *from)
{
  UsherWantedDesktop *copy = g_new (UsherWantedDesktop, 1);
  *copy = *from;
  copy->name = g_strdup (from->name);
  copy->template_name = g_strdup (from->template_name);
  copy->user = g_strdup (from->user);
  copy->console_secret = g_strdup (from->console_secret);
  return copy;
}

static void
desktop_free (Desktop *desktop)
{
  g_clear_handle_id (&desktop->timer, g_source_remove);
  g_clear_pointer (&desktop->wanted, usher_wanted_desktop_free);
  usher_tried_clear (&desktop->tried);
  usher_fork_tries_clear (&desktop->forks);
  g_free (desktop->reason);
  g_free (desktop);
}

/* Of the table: one whose job is out lives until that is back. */
static void
desktop_drop (gpointer data)
{
  Desktop *desktop = data;
  desktop->dropped = TRUE;
  g_clear_handle_id (&desktop->timer, g_source_remove);
  if (!desktop->busy)
    desktop_free (desktop);
}

static Desktop *
ensure (UsherEngine *engine, const char *id)
{
  Desktop *desktop = g_hash_table_lookup (engine->desktops, id);
  if (desktop != NULL)
    return desktop;
  desktop = g_new0 (Desktop, 1);
  desktop->engine = engine;
  desktop->seen = USHER_SEEN_ABSENT;
  desktop->reason = g_strdup ("");
  desktop->stale = TRUE;
  desktop->facts.machine_why = "";
  g_strlcpy (desktop->id, id, sizeof desktop->id);
  g_hash_table_insert (engine->desktops, desktop->id, desktop);
  return desktop;
}

/* Whether a system, if one is to be made, is forked. */
static UsherForkView
fork_view (const Desktop *desktop)
{
  const UsherEngine *engine = desktop->engine;
  return usher_fork_tries_view (&desktop->forks, engine->keeper, engine->why_no_keeper, desktop->wanted, &desktop->facts);
}

/* ---- what is seen ---- */

/* Whether its template is still to come. */
static void
update_waiting (Desktop *desktop)
{
  UsherTried *tried = &desktop->tried;
  const UsherEngine *engine = desktop->engine;
  const UsherWantedDesktop *wanted = desktop->wanted;
  g_clear_pointer (&tried->waiting, g_free);
  tried->waiting_failed = FALSE;
  if (engine->waiting != NULL && usher_desktop_needs_system (wanted, &desktop->facts))
    tried->waiting = engine->waiting (wanted->template_name, wanted->template_version, &tried->waiting_failed, engine->waiting_data);
}

static void
update_seen (Desktop *desktop)
{
  const char *reason;
  update_waiting (desktop);
  if (!desktop->facts.known && desktop->tried.failures == 0)
    return;
  UsherForkView fork = fork_view (desktop);
  UsherSeenState seen = usher_desktop_seen (desktop->wanted, &desktop->facts, &desktop->tried, fork, now_s (), &reason);
  if (seen == desktop->seen && g_str_equal (reason, desktop->reason))
    return;
  UsherLogContext about = { .desktop = desktop->id };
  gboolean same = seen == desktop->seen;
  UsherLogLevel level = seen == USHER_SEEN_FAILED ? USHER_LOG_WARNING : same ? USHER_LOG_DEBUG : USHER_LOG_INFO;
  usher_log (level, &about, "%s → %s%s%s",
             usher_seen_state_name (desktop->seen), usher_seen_state_name (seen), *reason != '\0' ? ": " : "", reason);
  desktop->seen = seen;
  g_free (desktop->reason);
  desktop->reason = g_strdup (reason);
}

/* Whether what would be reported differs between two looks, the state aside. */
static gboolean
same_counts (const UsherFacts *a, const UsherFacts *b)
{
  return a->console_revision == b->console_revision && a->restart_revision == b->restart_revision && a->starts == b->starts
         && a->system_revision == b->system_revision && a->clone == b->clone;
}

/* ---- failures and successes ---- */

static void
note_failure (Desktop *desktop, UsherAction action, const GError *failure)
{
  UsherLogContext about = { .desktop = desktop->id };
  usher_log (USHER_LOG_WARNING, &about, "%s: %s", usher_action_name (action), failure->message);
  desktop->last_action_at = now_ms ();
  usher_tried_note_failure (&desktop->tried, action, failure, now_ms ());
}

/* ---- jobs ---- */

static gpointer
run_job (gpointer state, gpointer job, GError **error)
{
  return usher_job_run (job);
}

typedef struct {
  Desktop *desktop;
  UsherAction action;
  UsherParentKey key; /* of a fork; owns its name */
} Sent;

static void
sent_free (Sent *sent)
{
  g_free (sent->key.template_name);
  g_free (sent);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Sent, sent_free)

static void
take_outcome (Desktop *desktop, const Sent *sent, const UsherOutcome *outcome)
{
  UsherLogContext about = { .desktop = desktop->id };
  UsherAction action = sent->action;
  if (outcome->note != NULL)
    usher_log (USHER_LOG_NOTICE, &about, "%s", outcome->note);
  if (outcome->failure != NULL)
    note_failure (desktop, action, outcome->failure);
  else if (action != USHER_DO_NOTHING)
    usher_tried_note_success (&desktop->tried);
  if (action == USHER_DO_FORK)
    usher_fork_tries_note (&desktop->forks, desktop->engine->keeper, &sent->key, outcome);
  if (desktop->engine->keeper != NULL && (action == USHER_DO_REMOVE || action == USHER_DO_CLONE || action == USHER_DO_FORK))
    usher_keeper_collect (desktop->engine->keeper); /* the disk of a former parent may be without use now */
  if (outcome->looked)
    {
      gboolean same = desktop->facts.known && same_counts (&desktop->facts, &outcome->facts);
      UsherSeenState before = desktop->seen;
      desktop->facts = outcome->facts;
      if (outcome->failure == NULL)
        usher_tried_digest (&desktop->tried, action, desktop->wanted, &desktop->facts, now_ms ());
      update_seen (desktop);
      if (!same || before != desktop->seen)
        desktop->engine->changed (desktop->engine->user_data);
    }
  else
    {
      desktop->stale = TRUE; /* nothing is known now: look again, a little later */
      desktop->look_at = now_ms () + UNKNOWN_RETRY_MS;
      if (!g_error_matches (outcome->blind, USHER_ERROR, USHER_ERROR_UNAVAILABLE))
        note_failure (desktop, action, outcome->blind);
    }
}

static void
job_done (gpointer result, const GError *error, gpointer user_data)
{
  g_autoptr (Sent) sent = user_data;
  g_autoptr (UsherOutcome) outcome = result;
  Desktop *desktop = sent->desktop;
  desktop->busy = FALSE;
  if (desktop->dropped)
    {
      desktop_free (desktop);
      return;
    }
  if (outcome == NULL) /* the pool is closing */
    return;
  take_outcome (desktop, sent, outcome);
  go_on (desktop);
}

static gboolean
on_timer (gpointer data)
{
  Desktop *desktop = data;
  desktop->timer = 0;
  update_seen (desktop);
  go_on (desktop);
  return G_SOURCE_REMOVE;
}

static void
go_on_at (Desktop *desktop, gint64 when)
{
  g_clear_handle_id (&desktop->timer, g_source_remove);
  if (when > 0)
    desktop->timer = g_timeout_add ((guint) CLAMP (when - now_ms (), 1, G_MAXINT32), on_timer, desktop);
}

/* A job for `action`; NULL when the parent went while it was planned. */
static UsherJob *
new_job (Desktop *desktop, UsherAction action, const char *clone_reason)
{
  UsherEngine *engine = desktop->engine;
  g_autoptr (UsherJob) job = usher_job_new (engine->ground, action, desktop->id, desktop->wanted);
  job->clone_reason = g_strdup (clone_reason != NULL && action == USHER_DO_CLONE ? clone_reason : "");
  if (action == USHER_DO_FORK)
    {
      UsherParentKey key = usher_parent_key_of (desktop->wanted);
      job->parent = usher_parents_hold (engine->ground->parents, &key);
      if (job->parent == NULL)
        return NULL;
    }
  return g_steal_pointer (&job);
}

static void
submit (Desktop *desktop, UsherAction action, const char *clone_reason)
{
  UsherEngine *engine = desktop->engine;
  UsherJob *job = new_job (desktop, action, clone_reason);
  Sent *sent = g_new0 (Sent, 1);
  *sent = (Sent) { .desktop = desktop, .action = action };
  if (action == USHER_DO_FORK)
    {
      sent->key = usher_parent_key_of (desktop->wanted);
      sent->key.template_name = g_strdup (sent->key.template_name);
    }
  desktop->busy = TRUE;
  desktop->stale = FALSE;
  if (job != NULL && usher_workers_submit (engine->workers, run_job, job, (GDestroyNotify) usher_job_free, 0, job_done, sent,
                                           (GDestroyNotify) usher_outcome_free, NULL))
    {
      desktop->last_action = action;
      desktop->last_action_at = now_ms ();
      return;
    }
  sent_free (sent);
  desktop->busy = FALSE;
  desktop->stale = TRUE;
  desktop->look_at = now_ms () + UNKNOWN_RETRY_MS;
  go_on_at (desktop, desktop->look_at);
}

/* Whether doing `action` now would only repeat what just changed nothing. */
static gboolean
is_repeat (const Desktop *desktop, UsherAction action, gint64 now)
{
  return action == desktop->last_action && action != USHER_DO_SET_CONSOLE && now < desktop->last_action_at + REPEAT_MS;
}

/* Nothing is to be done before `when`; when that is never, then what once failed does not matter any more. */
static void
settle (Desktop *desktop, gint64 when)
{
  go_on_at (desktop, when);
  if (when != 0 || desktop->tried.failures == 0)
    return;
  usher_tried_note_success (&desktop->tried);
  update_seen (desktop);
  desktop->engine->changed (desktop->engine->user_data);
}

/* The next step, if there is one and none is under way. */
static void
go_on (Desktop *desktop)
{
  gint64 now = now_ms ();
  if (desktop->busy)
    return;
  if (desktop->stale)
    {
      if (now >= desktop->look_at)
        submit (desktop, USHER_DO_NOTHING, NULL);
      else
        go_on_at (desktop, desktop->look_at);
      return;
    }
  update_waiting (desktop);
  UsherPlanTime time = { now, now_s (), desktop->engine->shutdown_ms };
  UsherForkView fork = fork_view (desktop);
  UsherPlan plan = usher_desktop_plan (desktop->wanted, &desktop->facts, &desktop->tried, fork, time);
  if (plan.action == USHER_DO_NOTHING)
    settle (desktop, plan.again_ms);
  else if (is_repeat (desktop, plan.action, now))
    go_on_at (desktop, desktop->last_action_at + REPEAT_MS);
  else
    submit (desktop, plan.action, fork.reason);
}

/* ---- events and scans ---- */

void
usher_engine_event (UsherEngine *engine, UsherVirtEvent event, const char *id)
{
  if (event == USHER_VIRT_CLOSED)
    {
      usher_log (USHER_LOG_WARNING, NULL, "libvirt is gone; desktops go on, and it is asked again");
      usher_engine_scan (engine);
      return;
    }
  Desktop *desktop = g_hash_table_lookup (engine->desktops, id);
  if (desktop == NULL)
    return; /* not ours, or the next scan finds it */
  if (event == USHER_VIRT_REBOOTED)
    desktop->tried.rebooted = TRUE;
  desktop->tried.ping_at = 0;
  desktop->stale = TRUE;
  go_on (desktop);
}

static gboolean
on_scan_timer (gpointer data)
{
  UsherEngine *engine = data;
  engine->scan_timer = 0;
  usher_engine_scan (engine);
  return G_SOURCE_REMOVE;
}

static gpointer
run_scan (gpointer state, gpointer job, GError **error)
{
  return usher_ground_scan (job, error);
}

static void
scan_done (gpointer result, const GError *error, gpointer user_data)
{
  UsherEngine *engine = user_data;
  g_auto (GStrv) ids = result;
  engine->scanning = FALSE;
  if (error != NULL && ids == NULL && !engine->libvirt_away)
    usher_log (USHER_LOG_WARNING, NULL, "%s", error->message);
  if (engine->libvirt_away && ids != NULL && engine->keeper != NULL)
    usher_keeper_retry (engine->keeper);
  engine->libvirt_away = ids == NULL;
  engine->scan_timer = g_timeout_add_seconds (ids == NULL ? SCAN_RETRY_S : SCAN_EVERY_S, on_scan_timer, engine);
  if (ids == NULL)
    return;
  for (gsize i = 0; ids[i] != NULL; i++)
    ensure (engine, ids[i]);
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, engine->desktops);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      ((Desktop *) value)->stale = TRUE;
      go_on (value);
    }
  if (!engine->ready)
    usher_log (USHER_LOG_INFO, NULL, "this host holds %u desktops", g_hash_table_size (engine->desktops));
  engine->ready = TRUE;
  engine->changed (engine->user_data);
}

void
usher_engine_scan (UsherEngine *engine)
{
  if (engine->scanning)
    return;
  g_clear_handle_id (&engine->scan_timer, g_source_remove);
  engine->scanning = usher_workers_submit (engine->workers, run_scan, (gpointer) engine->ground, NULL, 0, scan_done, engine,
                                           (GDestroyNotify) g_strfreev, NULL);
  if (!engine->scanning)
    engine->scan_timer = g_timeout_add_seconds (SCAN_RETRY_S, on_scan_timer, engine);
}

gboolean
usher_engine_is_ready (const UsherEngine *engine)
{
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, engine->desktops);
  /* Reporting a desktop that was not looked at would say that it is absent. */
  while (engine->ready && g_hash_table_iter_next (&iter, NULL, &value))
    if (!((Desktop *) value)->facts.known && ((Desktop *) value)->wanted == NULL)
      return FALSE;
  return engine->ready;
}

/* ---- the broker's side ---- */

/* Ones that nothing is left of, and that the broker names no more. */
static gboolean
is_over (gpointer key, gpointer value, gpointer user_data)
{
  Desktop *desktop = value;
  GHashTable *named = user_data;
  return !g_hash_table_contains (named, desktop->id) && desktop->facts.known && !desktop->facts.has_dir
         && (desktop->facts.machine == USHER_MACHINE_NONE || desktop->facts.machine == USHER_MACHINE_FOREIGN);
}

void
usher_engine_apply (UsherEngine *engine, const UsherSyncAnswer *answer)
{
  g_autoptr (GHashTable) named = g_hash_table_new (g_str_hash, g_str_equal);
  for (guint i = 0; i < answer->desktops->len; i++)
    {
      const UsherWantedDesktop *wanted = answer->desktops->pdata[i];
      Desktop *desktop = ensure (engine, wanted->id);
      g_hash_table_add (named, desktop->id);
      /* A new wish, or a new try at one, is not kept waiting by the failures of another. */
      if (desktop->wanted == NULL || desktop->wanted->wanted != wanted->wanted)
        usher_tried_note_success (&desktop->tried);
      else if (desktop->wanted->restart_revision != wanted->restart_revision
               || desktop->wanted->system_revision != wanted->system_revision)
        desktop->tried.retry_at = 0;
      if (desktop->wanted == NULL || desktop->wanted->template_version != wanted->template_version)
        usher_fork_tries_clear (&desktop->forks);
      g_clear_pointer (&desktop->wanted, usher_wanted_desktop_free);
      desktop->wanted = copy_wanted (wanted);
      update_seen (desktop);
      go_on (desktop);
    }
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, engine->desktops);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      Desktop *desktop = value;
      if (is_over (NULL, desktop, named))
        g_hash_table_iter_remove (&iter);
      else if (!g_hash_table_contains (named, desktop->id))
        g_clear_pointer (&desktop->wanted, usher_wanted_desktop_free);
    }
}

void
usher_engine_set_waiting (UsherEngine *engine, UsherEngineWaiting waiting, gpointer user_data)
{
  engine->waiting = waiting;
  engine->waiting_data = user_data;
}

void
usher_engine_templates_changed (UsherEngine *engine, gboolean arrived)
{
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, engine->desktops);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      Desktop *desktop = value;
      if (desktop->tried.waiting == NULL && !desktop->tried.lacks_template)
        continue;
      if (arrived && desktop->tried.lacks_template)
        desktop->tried.retry_at = 0;
      update_seen (desktop);
      go_on (desktop);
    }
}

void
usher_engine_report (const UsherEngine *engine, GPtrArray *into)
{
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, engine->desktops);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      const Desktop *desktop = value;
      UsherSeenDesktop *seen = g_new0 (UsherSeenDesktop, 1);
      g_strlcpy (seen->id, desktop->id, sizeof seen->id);
      seen->state = desktop->facts.known || desktop->seen == USHER_SEEN_FAILED ? desktop->seen : USHER_SEEN_CREATING;
      seen->reason = g_strdup (desktop->reason);
      seen->console_revision = desktop->facts.console_revision;
      seen->restart_revision = desktop->facts.restart_revision;
      seen->starts = desktop->facts.starts;
      seen->system_revision = desktop->facts.system_revision;
      seen->clone = desktop->facts.clone;
      seen->clone_reason = g_strdup (desktop->facts.clone_reason);
      g_ptr_array_add (into, seen);
    }
}

void
usher_engine_set_keeper (UsherEngine *engine, UsherKeeper *keeper, const char *why_not)
{
  engine->keeper = keeper;
  g_free (engine->why_no_keeper);
  engine->why_no_keeper = g_strdup (why_not);
}

void
usher_engine_parents_changed (UsherEngine *engine)
{
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, engine->desktops);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      Desktop *desktop = value;
      if (desktop->wanted == NULL || desktop->wanted->clone != USHER_CLONE_INSTANT
          || !usher_desktop_needs_system (desktop->wanted, &desktop->facts))
        continue;
      update_seen (desktop);
      go_on (desktop);
    }
  engine->changed (engine->user_data);
}

UsherEngine *
usher_engine_new (const UsherGround *ground, UsherWorkers *workers, gint64 shutdown_ms, UsherEngineChanged changed, gpointer user_data)
{
  UsherEngine *engine = g_new0 (UsherEngine, 1);
  engine->ground = ground;
  engine->workers = workers;
  engine->shutdown_ms = shutdown_ms;
  engine->changed = changed;
  engine->user_data = user_data;
  engine->desktops = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, desktop_drop);
  return engine;
}

void
usher_engine_free (UsherEngine *engine)
{
  g_clear_handle_id (&engine->scan_timer, g_source_remove);
  g_hash_table_unref (engine->desktops);
  g_free (engine->why_no_keeper);
  g_free (engine);
}
