#include "ctl/template/patience.h"
#include "ctl/interrupt.h"
#include <stdio.h>

#define TRIES 9
#define FIRST_MS 500u
#define LONGEST_MS 10000u

static void
say (UsherPatience *patience, guint wait_ms, const char *problem)
{
  if (patience->progress != NULL)
    usher_progress_say (patience->progress, "%s; trying again in %.1f s", problem, wait_ms / 1000.0);
  else
    fprintf (stderr, "%s; trying again in %.1f s\n", problem, wait_ms / 1000.0);
}

gboolean
usher_patience_wait (UsherPatience *patience, guint retry_after_ms, GError *problem, GError **error)
{
  guint wait_ms = MIN (FIRST_MS << MIN (patience->tries, 8), LONGEST_MS);

  if (!usher_client_may_pass (problem) || ++patience->tries >= TRIES) {
    g_propagate_error (error, problem);
    return FALSE;
  }
  wait_ms = MAX (wait_ms, MIN (retry_after_ms, 6 * LONGEST_MS));
  say (patience, wait_ms, problem->message);
  g_error_free (problem);
  return usher_interrupt_sleep (wait_ms, error);
}

gboolean
usher_patience_call (UsherPatience *patience, const char *method, const char *path, const json_t *body, UsherAnswer *out_answer,
                     GError **error)
{
  while (TRUE) {
    GError *problem = NULL;
    if (usher_client_call (patience->client, method, path, body, out_answer, &problem)) {
      patience->tries = 0;
      return TRUE;
    }
    if (!usher_patience_wait (patience, out_answer->retry_after_ms, problem, error))
      return FALSE;
    usher_answer_clear (out_answer);
    *out_answer = (UsherAnswer){ 0 };
  }
}
