#include "hostd/desktops/plan.h"

#include <string.h>

#include "common/error.h"

/* A guest that is not ready within its time counts as failed; after this many times that it is started again. */
#define GIVE_UP_FACTOR 2
#define BACKOFF_MAX_MS 60000
#define PARENT_LOOK_MS 5000 /* so often one that waits for its parent says that it does: the parent is kept for it */

static const char *const action_names[] = {
  [USHER_DO_NOTHING] = "nothing",   [USHER_DO_CLONE] = "clone",       [USHER_DO_START] = "start",
  [USHER_DO_RESUME] = "resume",     [USHER_DO_PING] = "ping",         [USHER_DO_SET_CONSOLE] = "set console",
  [USHER_DO_REBOOT] = "reboot",     [USHER_DO_RESET] = "reset",       [USHER_DO_NOTE_RESTART] = "note restart",
  [USHER_DO_SHUTDOWN] = "shutdown", [USHER_DO_DESTROY] = "destroy",   [USHER_DO_UNDEFINE] = "undefine",
  [USHER_DO_REMOVE] = "remove",     [USHER_DO_FORK] = "fork",         [USHER_DO_TELL_USER] = "tell user",
};

const char *
usher_action_name (UsherAction action)
{
  return action_names[action];
}

gboolean
usher_action_is_only_late (UsherAction action, const GError *failure)
{
  return g_error_matches (failure, USHER_ERROR, USHER_ERROR_UNAVAILABLE)
         || (action != USHER_DO_CLONE && action != USHER_DO_FORK && action != USHER_DO_START
             && (g_error_matches (failure, USHER_ERROR, USHER_ERROR_CONFLICT)
                 || g_error_matches (failure, USHER_ERROR, USHER_ERROR_MISSING)));
}

gint64
usher_desktop_backoff_ms (guint failures)
{
  if (failures == 0)
    return 0;
  return MIN ((gint64) 1000 << MIN (failures - 1, 16), BACKOFF_MAX_MS);
}

static UsherPlan
act (UsherAction action)
{
  return (UsherPlan) { action, 0 };
}

static UsherPlan
wait_until (gint64 when)
{
  return (UsherPlan) { USHER_DO_NOTHING, when };
}

/* `action` now, or nothing until `when`. */
static UsherPlan
act_from (UsherAction action, gint64 when, UsherPlanTime time)
{
  return time.now >= when ? act (action) : wait_until (when);
}

static gboolean
is_up (const UsherFacts *facts)
{
  return facts->machine == USHER_MACHINE_RUNNING || facts->machine == USHER_MACHINE_PAUSED;
}

/* How long this run has lasted without being ready, in its own ready_timeout_s: 0, 1, 2 … What does not run has no
 * run to measure: the times on record are its last run's. */
static gint64
timeouts_passed (const UsherFacts *facts, gint64 now_s)
{
  if (!is_up (facts) || facts->ready || facts->run_started_at_s == 0 || facts->ready_timeout_s == 0)
    return 0;
  return MAX (now_s - facts->run_started_at_s, 0) / facts->ready_timeout_s;
}

/* Whether another's domain has the id. To one that is to be gone it is no hindrance: it only isn't touched. */
static gboolean
is_taken (const UsherWantedDesktop *wanted, const UsherFacts *facts)
{
  return facts->machine == USHER_MACHINE_FOREIGN && (wanted == NULL || wanted->wanted != USHER_WANTED_GONE);
}

static UsherPlan
plan_gone (const UsherFacts *facts)
{
  if (is_up (facts))
    return act (USHER_DO_DESTROY);
  if (facts->machine == USHER_MACHINE_OFF)
    return act (USHER_DO_UNDEFINE);
  if (facts->has_dir)
    return act (USHER_DO_REMOVE);
  return act (USHER_DO_NOTHING);
}

static gboolean
is_fresh_wanted (const UsherWantedDesktop *wanted, const UsherFacts *facts)
{
  return facts->made && wanted->system_revision > facts->system_revision;
}

gboolean
usher_desktop_needs_system (const UsherWantedDesktop *wanted, const UsherFacts *facts)
{
  return wanted != NULL && wanted->wanted != USHER_WANTED_GONE && facts->known && facts->damage == NULL
         && (!facts->made || is_fresh_wanted (wanted, facts));
}

gboolean
usher_desktop_is_to_end (const UsherWantedDesktop *wanted, const UsherFacts *facts)
{
  return wanted != NULL && (wanted->wanted == USHER_WANTED_STOPPED || is_fresh_wanted (wanted, facts));
}

/* What runs is of no worth, or is asked to end and made to when its time is up. */
static UsherPlan
plan_end (const UsherFacts *facts, const UsherTried *tried, UsherPlanTime time)
{
  if (facts->making || facts->machine == USHER_MACHINE_PAUSED)
    return act (USHER_DO_DESTROY);
  if (tried->asked_shutdown_at == 0)
    return act (USHER_DO_SHUTDOWN);
  return act_from (USHER_DO_DESTROY, tried->asked_shutdown_at + time.shutdown_ms, time);
}

/* Whether a system is to be made and its template is still to come: what runs goes on so long. */
static gboolean
is_waiting (const UsherWantedDesktop *wanted, const UsherFacts *facts, const UsherTried *tried)
{
  return tried->waiting != NULL && usher_desktop_needs_system (wanted, facts);
}

/* Nothing runs, and a system is to be made. */
static UsherPlan
plan_make (const UsherTried *tried, UsherForkView fork, UsherPlanTime time)
{
  if (tried->waiting != NULL)
    return act (USHER_DO_NOTHING);
  if (fork.chance == USHER_FORK_WAIT)
    return wait_until (time.now + PARENT_LOOK_MS);
  return act (fork.chance == USHER_FORK_NOW ? USHER_DO_FORK : USHER_DO_CLONE);
}

static UsherPlan
plan_stopped (const UsherWantedDesktop *wanted, const UsherFacts *facts, const UsherTried *tried, UsherForkView fork,
              UsherPlanTime time)
{
  if (is_up (facts))
    return plan_end (facts, tried, time);
  return usher_desktop_needs_system (wanted, facts) ? plan_make (tried, fork, time) : act (USHER_DO_NOTHING);
}

static UsherPlan
plan_restart (const UsherTried *tried, UsherPlanTime time)
{
  if (tried->asked_reboot_at == 0)
    return act (USHER_DO_REBOOT);
  if (tried->rebooted)
    return act (USHER_DO_NOTE_RESTART);
  return act_from (USHER_DO_RESET, tried->asked_reboot_at + time.shutdown_ms, time);
}

/* A spare got its person. Only an agent can be told; once told, whatever came of it, it is not told again. */
static gboolean
is_user_news (const UsherWantedDesktop *wanted, const UsherFacts *facts)
{
  return facts->ready_by_agent && wanted->user != NULL && wanted->user[0] != '\0'
         && strncmp (wanted->user, facts->user, sizeof facts->user - 1) != 0;
}

/* The domain runs, as is wanted. */
static UsherPlan
plan_up (const UsherWantedDesktop *wanted, const UsherFacts *facts, const UsherTried *tried, UsherPlanTime time)
{
  if (facts->machine == USHER_MACHINE_PAUSED)
    return act (USHER_DO_RESUME);
  if (wanted->restart_revision > facts->restart_revision)
    return plan_restart (tried, time);
  if (wanted->console_revision > facts->console_revision && wanted->console_secret != NULL)
    return act (USHER_DO_SET_CONSOLE);
  if (!facts->ready && timeouts_passed (facts, time.now_s) >= GIVE_UP_FACTOR)
    return act (USHER_DO_DESTROY);
  if (!facts->ready)
    return act_from (USHER_DO_PING, tried->ping_at, time);
  return act (is_user_news (wanted, facts) ? USHER_DO_TELL_USER : USHER_DO_NOTHING);
}

static UsherPlan
plan_running (const UsherWantedDesktop *wanted, const UsherFacts *facts, const UsherTried *tried, UsherForkView fork,
              UsherPlanTime time)
{
  if (is_up (facts))
    return facts->making || (is_fresh_wanted (wanted, facts) && !is_waiting (wanted, facts, tried))
             ? plan_end (facts, tried, time)
             : plan_up (wanted, facts, tried, time);
  if (facts->damage != NULL)
    return act (USHER_DO_NOTHING); /* never a blank disk in its place */
  if (usher_desktop_needs_system (wanted, facts))
    return plan_make (tried, fork, time);
  return act_from (USHER_DO_START, tried->start_at, time);
}

UsherPlan
usher_desktop_plan (const UsherWantedDesktop *wanted, const UsherFacts *facts, const UsherTried *tried, UsherForkView fork,
                    UsherPlanTime time)
{
  if (wanted == NULL || !facts->known || is_taken (wanted, facts))
    return act (USHER_DO_NOTHING);
  if (tried->failures > 0 && time.now < tried->retry_at)
    return wait_until (tried->retry_at);
  switch (wanted->wanted)
    {
    case USHER_WANTED_GONE:
      return plan_gone (facts);
    case USHER_WANTED_STOPPED:
      return plan_stopped (wanted, facts, tried, fork, time);
    case USHER_WANTED_RUNNING:
    default:
      return plan_running (wanted, facts, tried, fork, time);
    }
}

/* ---- what to report ---- */

/* What is seen when nothing failed. */
static UsherSeenState
seen_of_facts (const UsherFacts *facts, const char **out_reason)
{
  if (facts->making)
    return USHER_SEEN_CREATING;
  if (facts->machine == USHER_MACHINE_RUNNING)
    return facts->ready ? USHER_SEEN_READY : USHER_SEEN_STARTING;
  if (facts->machine == USHER_MACHINE_PAUSED)
    {
      *out_reason = facts->machine_why;
      return USHER_SEEN_FAILED;
    }
  if (facts->made || facts->machine == USHER_MACHINE_OFF)
    return USHER_SEEN_STOPPED;
  return facts->has_dir ? USHER_SEEN_CREATING : USHER_SEEN_ABSENT;
}

/* What is on its way when nothing is wrong: it says more than the facts alone. */
static UsherSeenState
seen_on_its_way (const UsherWantedDesktop *wanted, const UsherFacts *facts, UsherSeenState state)
{
  if (wanted->wanted == USHER_WANTED_GONE)
    return state == USHER_SEEN_ABSENT ? USHER_SEEN_ABSENT : USHER_SEEN_DELETING;
  if (state == USHER_SEEN_ABSENT)
    return USHER_SEEN_CREATING;
  if (wanted->wanted == USHER_WANTED_RUNNING && (state == USHER_SEEN_STOPPED || state == USHER_SEEN_CREATING))
    return facts->starts > 0 ? USHER_SEEN_STARTING : USHER_SEEN_CREATING;
  if (state == USHER_SEEN_READY && (wanted->restart_revision > facts->restart_revision || is_fresh_wanted (wanted, facts)))
    return USHER_SEEN_STARTING;
  return state;
}

/* What is to be said of one that is on its way. */
static const char *
way_reason (const UsherWantedDesktop *wanted, const UsherFacts *facts, UsherForkView fork)
{
  if (wanted != NULL && usher_desktop_needs_system (wanted, facts) && !is_up (facts) && fork.chance == USHER_FORK_WAIT)
    return fork.reason != NULL ? fork.reason : "";
  if (wanted != NULL && is_fresh_wanted (wanted, facts))
    return "it gets a fresh system";
  return facts->start_reason;
}

UsherSeenState
usher_desktop_seen (const UsherWantedDesktop *wanted, const UsherFacts *facts, const UsherTried *tried, UsherForkView fork,
                    gint64 now_s, const char **out_reason)
{
  *out_reason = "";
  if (is_taken (wanted, facts))
    {
      *out_reason = "a domain with this id is there and is not ours";
      return USHER_SEEN_FAILED;
    }
  if (is_waiting (wanted, facts, tried))
    {
      *out_reason = tried->waiting;
      return tried->waiting_failed ? USHER_SEEN_FAILED : facts->starts > 0 ? USHER_SEEN_STARTING : USHER_SEEN_CREATING;
    }
  if (tried->failures > 0)
    {
      *out_reason = tried->failure;
      return USHER_SEEN_FAILED;
    }
  UsherSeenState state = seen_of_facts (facts, out_reason);
  if (wanted != NULL)
    state = seen_on_its_way (wanted, facts, state);
  if (state != USHER_SEEN_DELETING && state != USHER_SEEN_ABSENT && facts->damage != NULL && !is_up (facts))
    {
      *out_reason = facts->damage;
      return USHER_SEEN_FAILED;
    }
  if (state == USHER_SEEN_STARTING && timeouts_passed (facts, now_s) > 0)
    {
      *out_reason = facts->ready_by_agent ? "started, and its guest agent has not answered in time" : "not ready in time";
      return USHER_SEEN_FAILED;
    }
  if (state == USHER_SEEN_STARTING || state == USHER_SEEN_CREATING)
    *out_reason = way_reason (wanted, facts, fork);
  return state;
}
