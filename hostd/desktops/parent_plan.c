#include "hostd/desktops/parent_plan.h"

#define BACKOFF_MAX_MS 300000

static const char *const action_names[] = {
  [USHER_PARENT_DO_NOTHING] = "nothing", [USHER_PARENT_DO_BEGIN] = "boot",       [USHER_PARENT_DO_ASK] = "ask",
  [USHER_PARENT_DO_FREEZE] = "freeze",   [USHER_PARENT_DO_LOAD] = "load",        [USHER_PARENT_DO_DISCARD] = "discard",
  [USHER_PARENT_DO_GIVE_UP] = "give up", [USHER_PARENT_DO_RETIRE] = "retire",
};

const char *
usher_parent_action_name (UsherParentAction action)
{
  return action_names[action];
}

gint64
usher_parent_backoff_ms (guint failures)
{
  return failures == 0 ? 0 : MIN ((gint64) 1000 << MIN (failures - 1, 16), BACKOFF_MAX_MS);
}

static UsherParentPlan
act (UsherParentAction action)
{
  return (UsherParentPlan) { action, 0 };
}

static UsherParentPlan
plan_half (const UsherParentTried *tried, gint64 now)
{
  if (!tried->begun_here)
    return act (USHER_PARENT_DO_DISCARD); /* its golden RAM went with the hostd that began it */
  if (tried->ready)
    return act (USHER_PARENT_DO_FREEZE);
  if (now >= tried->begun_at + tried->give_up_ms)
    return act (USHER_PARENT_DO_GIVE_UP);
  return now >= tried->ask_at ? act (USHER_PARENT_DO_ASK) : (UsherParentPlan) { USHER_PARENT_DO_NOTHING, tried->ask_at };
}

/* Wanted or not, what is of no use goes. */
static UsherParentPlan
plan_end (const UsherParentTried *tried)
{
  switch (tried->stage)
    {
    case USHER_PARENT_HALF:
      return act (USHER_PARENT_DO_DISCARD);
    case USHER_PARENT_SAVED:
    case USHER_PARENT_LOADED:
      return act (USHER_PARENT_DO_RETIRE);
    case USHER_PARENT_NONE:
    default:
      return act (USHER_PARENT_DO_NOTHING);
    }
}

UsherParentPlan
usher_parent_plan (gboolean wanted, const UsherParentTried *tried, gint64 now)
{
  if (!wanted || tried->unable || tried->broken)
    return plan_end (tried);
  if (tried->failures > 0 && now < tried->retry_at && (tried->stage == USHER_PARENT_NONE || tried->stage == USHER_PARENT_SAVED))
    return (UsherParentPlan) { USHER_PARENT_DO_NOTHING, tried->retry_at };
  switch (tried->stage)
    {
    case USHER_PARENT_HALF:
      return plan_half (tried, now);
    case USHER_PARENT_SAVED:
      return act (USHER_PARENT_DO_LOAD);
    case USHER_PARENT_LOADED:
      return act (USHER_PARENT_DO_NOTHING);
    case USHER_PARENT_NONE:
    default:
      return act (USHER_PARENT_DO_BEGIN);
    }
}

UsherParentState
usher_parent_seen (const UsherParentTried *tried)
{
  if (tried->unable)
    return USHER_PARENT_UNABLE;
  if (tried->stage == USHER_PARENT_LOADED && !tried->broken)
    return USHER_PARENT_READY;
  return tried->failures > 0 && tried->stage != USHER_PARENT_HALF ? USHER_PARENT_FAILED : USHER_PARENT_BUILDING;
}

/* Of one that is being built. */
static char *
dup_phase (const UsherParentTried *tried, gint64 now)
{
  if (tried->stage == USHER_PARENT_SAVED)
    return g_strdup ("being read from disk");
  if (tried->stage != USHER_PARENT_HALF || !tried->begun_here)
    return g_strdup ("being made");
  if (tried->ready)
    return g_strdup ("being frozen");
  gint64 tens = (now - tried->begun_at) / 10000;
  return tens < 1 ? g_strdup ("booting") : g_strdup_printf ("booting, %" G_GINT64_FORMAT " s", tens * 10);
}

char *
usher_parent_dup_reason (const UsherParentTried *tried, gint64 now)
{
  switch (usher_parent_seen (tried))
    {
    case USHER_PARENT_BUILDING:
      return dup_phase (tried, now);
    case USHER_PARENT_FAILED:
    case USHER_PARENT_UNABLE:
      return g_strdup (tried->failure != NULL ? tried->failure : "");
    case USHER_PARENT_READY:
    default:
      return g_strdup ("");
    }
}

gboolean
usher_parent_is_hopeless (const UsherParentTried *tried)
{
  return usher_parent_seen (tried) != USHER_PARENT_READY && (tried->unable || tried->lasting >= USHER_PARENT_TRIES);
}

void
usher_parent_note_failure (UsherParentTried *tried, const GError *failure, gint64 now)
{
  tried->failures++;
  tried->retry_at = now + usher_parent_backoff_ms (tried->failures);
  switch (usher_error_code (failure))
    {
    case USHER_ERROR_REFUSED:
      tried->unable = TRUE;
      break;
    case USHER_ERROR_INVALID: /* the image is broken: so would be the next try */
      tried->lasting = USHER_PARENT_TRIES;
      break;
    case USHER_ERROR_UNAVAILABLE: /* libvirt is away, or the version is still on its way: a linked clone would fare no better */
    case USHER_ERROR_MISSING:
    case USHER_ERROR_BUSY:
      break;
    default:
      tried->lasting++;
    }
}
