/* What happens to a call between its head and its answer: worker steps, waiting, going on. */
#include "broker/api/api_private.h"
#include "broker/api/call_private.h"
#include "broker/api/guard.h"
#include "broker/api/waiters.h"
#include "common/error.h"

#define STEP_BEGIN_MS 5000 /* a step that no worker took by then is "unavailable" */

static gpointer
run_step (gpointer state, gpointer job, GError **error)
{
  UsherCall *call = job;
  UsherStore *store = state;
  if (!call->authorised && !usher_guard_authorise (call, store, error))
    return NULL;
  call->authorised = TRUE;
  return call->step (call, store, error) ? call : NULL;
}

static gboolean
go_on (UsherCall *call, GError **error)
{
  if (call->next != NULL)
    return g_steal_pointer (&call->next) (call, error);
  if (call->wait_topics == 0 || call->last_look) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_INTERNAL, "%s %s ended without an answer", call->route->method,
                 call->route->pattern);
    return FALSE;
  }
  gboolean urgent = call->route->listener != USHER_LISTENER_API;
  return usher_waiters_park (call->api->waiters, call, call->wait_topics, call->seen, call->wait_until_us, urgent, error);
}

static void
look_is_over (UsherCall *call)
{
  if (call->looking)
    usher_waiters_looked (call->api->waiters);
  call->looking = FALSE;
}

static void
step_done (gpointer result, const GError *error, gpointer user_data)
{
  g_autoptr (UsherCall) call = user_data;
  g_autoptr (GError) local = NULL;
  look_is_over (call);
  if (error != NULL || call->answered)
    usher_call_finish (call, error);
  else if (!go_on (call, &local))
    usher_call_finish (call, local);
}

gboolean
usher_call_run (UsherCall *call, UsherStep step, GError **error)
{
  return usher_call_run_on (call, call->api->parts.store_workers, step, error);
}

gboolean
usher_call_run_on (UsherCall *call, UsherWorkers *workers, UsherStep step, GError **error)
{
  call->step = step;
  call->wait_topics = 0;
  call->seen = usher_waiters_now (call->api->waiters);
  /* Two references: one for the worker's job, one for the end. */
  if (usher_workers_submit (workers, run_step, usher_call_ref (call), (GDestroyNotify) usher_call_unref,
                            STEP_BEGIN_MS, step_done, usher_call_ref (call), NULL, error))
    return TRUE;
  usher_call_unref (call);
  return FALSE;
}

void
usher_call_wake (UsherCall *call)
{
  g_autoptr (UsherCall) owned G_GNUC_UNUSED = call;
  g_autoptr (GError) error = NULL;
  call->looking = TRUE;
  if (call->gone) {
    look_is_over (call);
    call->finished = TRUE;
    usher_api_call_ended (call->api, call, NULL);
    return;
  }
  call->last_look = call->api->draining || g_get_monotonic_time () >= call->wait_until_us - 1000;
  if (usher_call_run (call, call->step, &error))
    return;
  look_is_over (call);
  usher_call_finish (call, error);
}
