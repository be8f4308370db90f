#include "hostd/desktops/fork_tries.h"

#include "common/error.h"

#define TRIES 4 /* failures in a row after which a desktop is made a linked clone: the keeper changes the parent before */

void
usher_fork_tries_clear (UsherForkTries *tries)
{
  tries->failures = 0;
  g_clear_pointer (&tries->failure, g_free);
}

UsherParentKey
usher_parent_key_of (const UsherWantedDesktop *wanted)
{
  return (UsherParentKey) { wanted->template_name, wanted->template_version, wanted->vcpus, wanted->ram_mib };
}

UsherForkView
usher_fork_tries_view (const UsherForkTries *tries, UsherKeeper *keeper, const char *why_not, const UsherWantedDesktop *wanted,
                       const UsherFacts *facts)
{
  if (!usher_desktop_needs_system (wanted, facts) || wanted->clone != USHER_CLONE_INSTANT)
    return (UsherForkView) { USHER_FORK_NEVER, NULL };
  if (keeper == NULL)
    return (UsherForkView) { USHER_FORK_NEVER, why_not };
  if (tries->failures >= TRIES)
    return (UsherForkView) { USHER_FORK_NEVER, tries->failure };
  UsherParentKey key = usher_parent_key_of (wanted);
  return usher_keeper_ask (keeper, &key);
}

/* Whether a failed fork says something of forking: not when libvirt is away, or when no clone of any kind could be made. */
static gboolean
is_bad_fork (const UsherOutcome *outcome)
{
  switch (usher_error_code (outcome->failure))
    {
    case USHER_ERROR_UNAVAILABLE:
      return outcome->looked; /* libvirt was there: a step of it took too long */
    case USHER_ERROR_EXHAUSTED:
    case USHER_ERROR_MISSING:
    case USHER_ERROR_CONFLICT:
      return FALSE;
    default:
      return TRUE;
    }
}

void
usher_fork_tries_note (UsherForkTries *tries, UsherKeeper *keeper, const UsherParentKey *key, const UsherOutcome *outcome)
{
  usher_keeper_forked (keeper, key, outcome->failure);
  if (outcome->failure == NULL)
    usher_fork_tries_clear (tries);
  else if (is_bad_fork (outcome))
    {
      gboolean never = g_error_matches (outcome->failure, USHER_ERROR, USHER_ERROR_REFUSED);
      tries->failures = never ? TRIES : tries->failures + 1;
      g_free (tries->failure);
      tries->failure = never ? g_strdup (outcome->failure->message)
                       : g_strdup_printf ("forking it failed %u times: %s", tries->failures, outcome->failure->message);
    }
}
