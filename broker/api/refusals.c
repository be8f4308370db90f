/* Auditing what is refused before a store function sees it: malformed and oversized requests, other sites'
 * requests, people who are no administrators. Strangers can't flood the trail: those get an allowance. */
#include "broker/api/api_private.h"
#include "broker/api/call_private.h"
#include "broker/store/audit.h"
#include "common/error.h"

#define STRANGERS_PER_S 5.0
#define STRANGERS_BURST 100.0

typedef struct {
  char *user, *address, *request, *action, *path, *message;
  const char *outcome;
} Refusal;

static void
refusal_free (Refusal *refusal)
{
  g_free (refusal->user);
  g_free (refusal->address);
  g_free (refusal->request);
  g_free (refusal->action);
  g_free (refusal->path);
  g_free (refusal->message);
  g_free (refusal);
}

static gpointer
write_refusal (gpointer state, gpointer job, GError **error)
{
  const Refusal *refusal = job;
  const UsherActor actor = { .name = refusal->user, .address = refusal->address, .request = refusal->request };
  const UsherAuditLine line = { .action = refusal->action, .outcome = refusal->outcome, .object = refusal->path,
                                .message = refusal->message };
  g_autoptr (GError) local = NULL;
  if (!usher_store_audit (state, &actor, &line, &local))
    usher_log (USHER_LOG_WARNING, NULL, "a refusal could not be audited: %s", local->message);
  return NULL;
}

/* A bucket of STRANGERS_BURST that fills by STRANGERS_PER_S. */
static gboolean
allowed (UsherApi *api)
{
  gint64 now = g_get_monotonic_time ();
  if (api->audit_allowance_at_us == 0)
    api->audit_allowance = STRANGERS_BURST;
  else
    api->audit_allowance += (double) (now - api->audit_allowance_at_us) / G_USEC_PER_SEC * STRANGERS_PER_S;
  api->audit_allowance = MIN (api->audit_allowance, STRANGERS_BURST);
  api->audit_allowance_at_us = now;
  if (api->audit_allowance < 1)
    return FALSE;
  api->audit_allowance -= 1;
  return TRUE;
}

static gboolean
wanted (UsherApi *api, UsherCall *call, const GError *error)
{
  UsherError code = usher_error_code (error);
  if (call->audit_action == NULL && code != USHER_ERROR_INVALID && code != USHER_ERROR_TOO_LARGE)
    return FALSE;
  if (code == USHER_ERROR_UNAVAILABLE || code == USHER_ERROR_BUSY)
    return FALSE;
  return api->ready && (call->signed_in != NULL || allowed (api));
}

void
usher_refusals_note (UsherApi *api, UsherCall *call, const GError *error)
{
  if (!wanted (api, call, error))
    return;
  Refusal *refusal = g_new0 (Refusal, 1);
  const char *path = g_uri_get_path (soup_server_message_get_uri (call->message));
  g_autofree char *text = g_utf8_make_valid (path, -1);
  refusal->user = g_strdup (usher_call_get_actor (call).name);
  refusal->address = g_strdup (call->client);
  refusal->request = g_strdup (call->request);
  refusal->action = g_strdup (call->audit_action != NULL ? call->audit_action : "request");
  refusal->path = g_strdup_printf ("%s %.200s", soup_server_message_get_method (call->message), text);
  refusal->message = g_utf8_make_valid (error->message, -1);
  refusal->outcome = usher_error_name (usher_error_code (error));
  g_autoptr (GError) local = NULL;
  if (!usher_workers_submit (api->parts.store_workers, write_refusal, refusal, (GDestroyNotify) refusal_free, 0, NULL, NULL,
                             NULL, &local))
    usher_log (USHER_LOG_WARNING, NULL, "a refusal could not be audited: %s", local->message);
}
