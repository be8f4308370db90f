#include "hostd/desktops/keeper.h"

#include "common/log.h"
#include "hostd/desktops/parent_job.h"

#define LEASE_MS 30000       /* a parent that a desktop asked for is kept so long; while it waits it asks more often */
#define FIRST_ASK_MS 2000    /* after the start of its domain */
#define ASK_EVERY_MS 1000
#define GIVE_UP_FACTOR 2     /* times its template's ready.timeout_s, as with desktops */
#define BAD_FORKS 2          /* in a row: then the parent is at fault */
#define BROKEN_TIMES 2       /* another parent did not help: the version can't be forked */
#define LIST_RETRY_MS 1000
#define COLLECT_AFTER_MS 2000
#define REPEAT_MS 500        /* a step that did not help is not repeated sooner */

typedef struct {
  UsherKeeper *keeper;
  char *name; /* of the key, for the table and the log */
  UsherParentKey key;
  UsherParentTried tried;
  char *failure;        /* owns tried.failure */
  gboolean listed;
  gint64 wanted_until;  /* by desktops that asked */
  guint bad_forks, broken_times; /* in a row: forks that failed, parents that were given up for it */
  gboolean busy, dropped;
  gint64 not_before;
  guint timer;
  /* as last told */
  UsherParentState seen;
  char *reason, *waiting;
} Parent;

struct _UsherKeeper {
  UsherParents *parents;
  UsherTemplateStore *templates;
  UsherWorkers *workers;
  UsherKeeperChanged changed;
  gpointer user_data;
  GHashTable *table;    /* name → Parent */
  gboolean told, known; /* by the broker what is listed; what is there */
  gboolean listing, collecting;
  guint list_timer, collect_timer;
};

static void go_on (Parent *parent);

static gint64
now_ms (void)
{
  return g_get_monotonic_time () / 1000;
}

/* ---- the table ---- */

static char *
name_of (const UsherParentKey *key)
{
  return g_strdup_printf ("%s/%" G_GINT64_FORMAT " with %" G_GINT64_FORMAT " processors and %" G_GINT64_FORMAT " MiB", key->template_name,
                          key->template_version, key->vcpus, key->ram_mib);
}

static void
parent_free (Parent *parent)
{
  g_clear_handle_id (&parent->timer, g_source_remove);
  g_free (parent->key.template_name);
  g_free (parent->name);
  g_free (parent->failure);
  g_free (parent->reason);
  g_free (parent->waiting);
  g_free (parent);
}

/* Of the table: one whose job is out lives until that is back. */
static void
parent_drop (gpointer data)
{
  Parent *parent = data;
  parent->dropped = TRUE;
  g_clear_handle_id (&parent->timer, g_source_remove);
  if (!parent->busy)
    parent_free (parent);
}

static Parent *
ensure (UsherKeeper *keeper, const UsherParentKey *key)
{
  g_autofree char *name = name_of (key);
  Parent *parent = g_hash_table_lookup (keeper->table, name);
  if (parent != NULL)
    return parent;
  parent = g_new0 (Parent, 1);
  parent->keeper = keeper;
  parent->name = g_steal_pointer (&name);
  parent->key = *key;
  parent->key.template_name = g_strdup (key->template_name);
  parent->reason = g_strdup ("");
  parent->waiting = g_strdup ("waiting for its parent");
  g_hash_table_insert (keeper->table, parent->name, parent);
  return parent;
}

static gboolean
is_wanted (const Parent *parent)
{
  return parent->listed || now_ms () < parent->wanted_until;
}

/* ---- what is seen ---- */

static void
update_seen (Parent *parent)
{
  UsherParentState seen = usher_parent_seen (&parent->tried);
  g_autofree char *reason = usher_parent_dup_reason (&parent->tried, now_ms ());
  if (seen == parent->seen && g_str_equal (reason, parent->reason))
    return;
  gboolean news = seen != parent->seen || seen != USHER_PARENT_BUILDING;
  UsherLogLevel level = seen >= USHER_PARENT_FAILED ? USHER_LOG_WARNING : news ? USHER_LOG_INFO : USHER_LOG_DEBUG;
  usher_log (level, NULL, "parent %s: %s%s%s", parent->name, usher_parent_state_name (seen), *reason != '\0' ? ": " : "", reason);
  parent->seen = seen;
  g_free (parent->reason);
  parent->reason = g_steal_pointer (&reason);
  g_free (parent->waiting);
  parent->waiting = g_strdup_printf ("waiting for its parent: %s", parent->reason);
  parent->keeper->changed (parent->keeper->user_data);
}

static void
note_failure (Parent *parent, const GError *failure)
{
  usher_parent_note_failure (&parent->tried, failure, now_ms ());
  g_free (parent->failure);
  parent->failure = g_strdup (failure->message);
  parent->tried.failure = parent->failure;
}

/* ---- jobs ---- */

static gpointer
run_job (gpointer state, gpointer job, GError **error)
{
  return usher_parent_job_run (job);
}

/* One that ended while it booted is cleared away before the next is begun. */
static void
take_stage (Parent *parent, UsherParentAction action, const UsherParentOutcome *outcome)
{
  UsherParentTried *tried = &parent->tried;
  gint64 now = now_ms ();
  tried->stage = outcome->stage;
  tried->begun_here = outcome->begun_here;
  if (action == USHER_PARENT_DO_BEGIN && outcome->failure == NULL)
    {
      tried->begun_at = now;
      tried->ask_at = now + FIRST_ASK_MS;
      tried->give_up_ms = outcome->timeout_s * 1000 * GIVE_UP_FACTOR;
    }
  if (tried->stage != USHER_PARENT_HALF)
    tried->ready = FALSE;
  else if (outcome->failure != NULL && action != USHER_PARENT_DO_DISCARD && action != USHER_PARENT_DO_GIVE_UP
           && usher_error_code (outcome->failure) != USHER_ERROR_UNAVAILABLE)
    tried->begun_here = FALSE;
  if (tried->stage != USHER_PARENT_LOADED && tried->stage != USHER_PARENT_SAVED)
    {
      tried->broken = FALSE;
      parent->bad_forks = 0;
    }
}

static void
take_outcome (Parent *parent, UsherParentAction action, const UsherParentOutcome *outcome)
{
  UsherParentTried *tried = &parent->tried;
  gint64 now = now_ms ();
  if (outcome->ready)
    tried->ready = TRUE;
  tried->ask_at = MAX (tried->ask_at, now + ASK_EVERY_MS);
  /* One that is held goes a little later: that is no failure of it. */
  gboolean later = g_error_matches (outcome->failure, USHER_ERROR, USHER_ERROR_BUSY);
  if (outcome->looked)
    take_stage (parent, action, outcome);
  if (later && tried->stage == USHER_PARENT_LOADED)
    tried->broken = TRUE; /* it can't be held any more, whoever wants it now */
  if (outcome->failure != NULL && !later)
    {
      gboolean again = tried->failures > 0 && usher_error_code (outcome->failure) == USHER_ERROR_UNAVAILABLE;
      usher_log (again ? USHER_LOG_DEBUG : USHER_LOG_WARNING, NULL, "parent %s: %s: %s", parent->name,
                 usher_parent_action_name (action), outcome->failure->message);
      note_failure (parent, outcome->failure);
    }
  if (outcome->failure != NULL && action != USHER_PARENT_DO_GIVE_UP)
    parent->not_before = now + MAX (REPEAT_MS, later || outcome->stage == USHER_PARENT_NONE ? 0 : usher_parent_backoff_ms (tried->failures));
}

static void
job_done (gpointer result, const GError *error, gpointer user_data)
{
  g_autoptr (UsherParentJob) job = user_data;
  g_autoptr (UsherParentOutcome) outcome = result;
  Parent *parent = job->owner;
  parent->busy = FALSE;
  if (parent->dropped)
    {
      parent_free (parent);
      return;
    }
  if (outcome == NULL) /* the pool is closing */
    return;
  take_outcome (parent, job->action, outcome);
  update_seen (parent);
  go_on (parent);
}

static gboolean
on_timer (gpointer data)
{
  Parent *parent = data;
  parent->timer = 0;
  update_seen (parent);
  go_on (parent);
  return G_SOURCE_REMOVE;
}

static void
go_on_at (Parent *parent, gint64 when)
{
  g_clear_handle_id (&parent->timer, g_source_remove);
  if (when > 0)
    parent->timer = g_timeout_add ((guint) CLAMP (when - now_ms (), 1, G_MAXINT32), on_timer, parent);
}

static void
submit (Parent *parent, UsherParentAction action)
{
  UsherKeeper *keeper = parent->keeper;
  UsherParentJob *job = usher_parent_job_new (keeper->parents, keeper->templates, action, &parent->key, parent);
  parent->busy = TRUE;
  /* The job is job_done()'s to free. */
  if (usher_workers_submit (keeper->workers, run_job, job, NULL, 0, job_done, job, (GDestroyNotify) usher_parent_outcome_free, NULL))
    return;
  usher_parent_job_free (job);
  parent->busy = FALSE;
  go_on_at (parent, now_ms () + REPEAT_MS);
}

/* The next step, if there is one and none is under way. `parent` may be gone afterwards. */
static void
go_on (Parent *parent)
{
  gint64 now = now_ms ();
  if (parent->busy || !parent->keeper->told || !parent->keeper->known)
    return;
  gboolean wanted = is_wanted (parent);
  UsherParentPlan plan = usher_parent_plan (wanted, &parent->tried, now);
  if (plan.action == USHER_PARENT_DO_NOTHING && !wanted && parent->tried.stage == USHER_PARENT_NONE)
    g_hash_table_remove (parent->keeper->table, parent->name);
  else if (plan.action == USHER_PARENT_DO_NOTHING)
    go_on_at (parent, plan.again_ms != 0 ? plan.again_ms : parent->listed ? 0 : parent->wanted_until);
  else if (now < parent->not_before)
    go_on_at (parent, parent->not_before);
  else
    submit (parent, plan.action);
}

/* For all; copies the list first, as go_on() may take one out. */
static void
go_on_all (UsherKeeper *keeper)
{
  g_autoptr (GList) all = g_hash_table_get_values (keeper->table);
  for (GList *one = all; one != NULL; one = one->next)
    go_on (one->data);
}

/* ---- what is there at first ---- */

static gboolean list_soon (gpointer data);

static gpointer
run_list (gpointer state, gpointer job, GError **error)
{
  return usher_parents_list (job, error);
}

static void
listed (gpointer result, const GError *error, gpointer user_data)
{
  UsherKeeper *keeper = user_data;
  g_autoptr (GPtrArray) all = result;
  keeper->listing = FALSE;
  if (all == NULL)
    {
      keeper->list_timer = g_timeout_add (LIST_RETRY_MS, list_soon, keeper);
      return;
    }
  for (guint i = 0; i < all->len; i++)
    {
      const UsherParentFound *found = all->pdata[i];
      Parent *parent = ensure (keeper, &found->key);
      parent->tried.stage = found->stage;
      parent->tried.begun_here = found->begun_here;
      update_seen (parent);
    }
  keeper->known = TRUE;
  go_on_all (keeper);
}

static gboolean
list_soon (gpointer data)
{
  UsherKeeper *keeper = data;
  keeper->list_timer = 0;
  keeper->listing = usher_workers_submit (keeper->workers, run_list, keeper->parents, NULL, 0, listed, keeper,
                                          (GDestroyNotify) g_ptr_array_unref, NULL);
  if (!keeper->listing)
    keeper->list_timer = g_timeout_add (LIST_RETRY_MS, list_soon, keeper);
  return G_SOURCE_REMOVE;
}

/* ---- disks of former parents ---- */

static gpointer
run_collect (gpointer state, gpointer job, GError **error)
{
  usher_parents_collect (job, error);
  return NULL;
}

static void
collected (gpointer result, const GError *error, gpointer user_data)
{
  UsherKeeper *keeper = user_data;
  keeper->collecting = FALSE;
  if (error != NULL)
    usher_log (USHER_LOG_WARNING, NULL, "disks of former parents: %s", error->message);
}

static gboolean
collect_now (gpointer data)
{
  UsherKeeper *keeper = data;
  if (keeper->collecting)
    return G_SOURCE_CONTINUE;
  keeper->collect_timer = 0;
  keeper->collecting = usher_workers_submit (keeper->workers, run_collect, keeper->parents, NULL, 0, collected, keeper, NULL, NULL);
  return G_SOURCE_REMOVE;
}

void
usher_keeper_collect (UsherKeeper *keeper)
{
  if (keeper->collect_timer == 0)
    keeper->collect_timer = g_timeout_add (COLLECT_AFTER_MS, collect_now, keeper);
}

/* ---- what others say and ask ---- */

void
usher_keeper_apply (UsherKeeper *keeper, const GPtrArray *keys)
{
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, keeper->table);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    ((Parent *) value)->listed = FALSE;
  for (guint i = 0; i < keys->len; i++)
    ensure (keeper, keys->pdata[i])->listed = TRUE;
  keeper->told = TRUE;
  go_on_all (keeper);
}

UsherForkView
usher_keeper_ask (UsherKeeper *keeper, const UsherParentKey *key)
{
  Parent *parent = ensure (keeper, key);
  parent->wanted_until = now_ms () + LEASE_MS;
  if (usher_parent_seen (&parent->tried) == USHER_PARENT_READY)
    return (UsherForkView) { USHER_FORK_NOW, NULL };
  if (!parent->busy && parent->timer == 0)
    go_on_at (parent, now_ms () + 1); /* from the main loop: the caller is not called back from in here */
  if (usher_parent_is_hopeless (&parent->tried))
    return (UsherForkView) { USHER_FORK_NEVER, parent->failure };
  return (UsherForkView) { USHER_FORK_WAIT, parent->waiting };
}

/* The parent is at fault: it goes, and another is built, or the version is not forked any more. */
static void
blame (Parent *parent, const GError *failure)
{
  gboolean never = g_error_matches (failure, USHER_ERROR, USHER_ERROR_REFUSED);
  g_autoptr (GError) why = g_error_new (USHER_ERROR, never ? USHER_ERROR_REFUSED : USHER_ERROR_INTERNAL, "forks of it fail: %s",
                                        failure->message);
  parent->tried.broken = TRUE;
  note_failure (parent, why);
  parent->broken_times++;
  parent->tried.unable = never || parent->broken_times >= BROKEN_TIMES;
  update_seen (parent);
  go_on (parent);
}

void
usher_keeper_forked (UsherKeeper *keeper, const UsherParentKey *key, const GError *failure)
{
  g_autofree char *name = name_of (key);
  Parent *parent = g_hash_table_lookup (keeper->table, name);
  if (parent == NULL)
    return;
  if (failure == NULL)
    {
      parent->bad_forks = parent->broken_times = 0;
      parent->tried.failures = parent->tried.lasting = 0;
      parent->tried.failure = NULL;
      return;
    }
  UsherError code = usher_error_code (failure);
  if (code == USHER_ERROR_UNAVAILABLE || code == USHER_ERROR_EXHAUSTED || code == USHER_ERROR_CONFLICT || parent->tried.broken)
    return;
  parent->bad_forks++;
  if (code == USHER_ERROR_REFUSED || parent->bad_forks >= BAD_FORKS)
    blame (parent, failure);
}

void
usher_keeper_retry (UsherKeeper *keeper)
{
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, keeper->table);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    ((Parent *) value)->tried.retry_at = 0;
  go_on_all (keeper);
}

void
usher_keeper_report (const UsherKeeper *keeper, GPtrArray *into)
{
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, keeper->table);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      const Parent *parent = value;
      if (!is_wanted (parent))
        continue;
      UsherSeenParent *seen = g_new0 (UsherSeenParent, 1);
      seen->key = parent->key;
      seen->key.template_name = g_strdup (parent->key.template_name);
      seen->state = parent->seen;
      seen->reason = g_strdup (parent->reason);
      g_ptr_array_add (into, seen);
    }
}

UsherKeeper *
usher_keeper_new (UsherParents *parents, UsherTemplateStore *templates, UsherWorkers *workers, UsherKeeperChanged changed,
                  gpointer user_data)
{
  UsherKeeper *keeper = g_new0 (UsherKeeper, 1);
  keeper->parents = parents;
  keeper->templates = templates;
  keeper->workers = workers;
  keeper->changed = changed;
  keeper->user_data = user_data;
  keeper->table = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, parent_drop);
  list_soon (keeper);
  usher_keeper_collect (keeper);
  return keeper;
}

void
usher_keeper_free (UsherKeeper *keeper)
{
  g_clear_handle_id (&keeper->list_timer, g_source_remove);
  g_clear_handle_id (&keeper->collect_timer, g_source_remove);
  g_hash_table_unref (keeper->table);
  g_free (keeper);
}
