#include "hostd/desktops/tried.h"

#include "common/error.h"

#define PING_EVERY_MS 1000 /* agent events come at once; this is for the rest */

void
usher_tried_clear (UsherTried *tried)
{
  g_clear_pointer (&tried->failure, g_free);
  g_clear_pointer (&tried->waiting, g_free);
}

void
usher_tried_note_success (UsherTried *tried)
{
  tried->failures = 0;
  tried->retry_at = 0;
  tried->lacks_template = FALSE;
  g_clear_pointer (&tried->failure, g_free);
}

static gboolean
needs_template (UsherAction action)
{
  return action == USHER_DO_CLONE || action == USHER_DO_FORK || action == USHER_DO_START;
}

void
usher_tried_note_failure (UsherTried *tried, UsherAction action, const GError *failure, gint64 now)
{
  if (tried->failures == 0 && usher_action_is_only_late (action, failure))
    return;
  tried->failures++;
  tried->retry_at = now + usher_desktop_backoff_ms (tried->failures);
  tried->lacks_template = needs_template (action) && g_error_matches (failure, USHER_ERROR, USHER_ERROR_MISSING);
  g_free (tried->failure);
  tried->failure = g_strdup (failure->message);
}

static void
digest_action (UsherTried *tried, UsherAction action, gint64 now)
{
  if (action == USHER_DO_PING)
    tried->ping_at = now + PING_EVERY_MS;
  if (action == USHER_DO_SHUTDOWN)
    tried->asked_shutdown_at = now;
  if (action == USHER_DO_REBOOT)
    {
      tried->asked_reboot_at = now;
      tried->rebooted = FALSE;
    }
  if (action == USHER_DO_START)
    {
      tried->start_at = now + usher_desktop_backoff_ms (tried->fruitless);
      tried->fruitless++;
      tried->ping_at = 0;
    }
}

void
usher_tried_digest (UsherTried *tried, UsherAction action, const UsherWantedDesktop *wanted, const UsherFacts *facts, gint64 now)
{
  digest_action (tried, action, now);
  if (facts->ready)
    {
      tried->fruitless = 0;
      tried->start_at = 0;
    }
  if (facts->machine != USHER_MACHINE_RUNNING || !usher_desktop_is_to_end (wanted, facts))
    tried->asked_shutdown_at = 0;
  if (facts->machine != USHER_MACHINE_RUNNING || wanted == NULL || wanted->restart_revision <= facts->restart_revision)
    tried->asked_reboot_at = 0;
}
