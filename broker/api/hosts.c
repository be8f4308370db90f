/* Hosts: the token to join with, joining, and the sync. */
#include "broker/store/hosts.h"
#include <string.h>
#include "broker/api/api_private.h"
#include "broker/api/call_private.h"
#include "broker/api/handlers.h"
#include "common/error.h"
#include "common/fault.h"

static const UsherSettings *
settings_of (UsherCall *call)
{
  return call->api->parts.settings;
}

gboolean
usher_hosts_token_step (UsherCall *call, UsherStore *store, GError **error)
{
  guint ttl_s = (guint) usher_settings_get_int (settings_of (call), "hosts", "join_token_ttl_s");
  UsherActor actor = usher_call_get_actor (call);
  char token[USHER_TOKEN_SIZE];
  if (!usher_store_join_token (store, &actor, usher_call_get_param (call, 0), ttl_s, token, error))
    return FALSE;
  g_autofree char *text = g_strconcat (token, ".", usher_ca_get_pem_hash (call->api->parts.ca), NULL);
  usher_call_answer (call, 201, json_pack ("{s:s, s:I}", "token", text, "expires_in_s", (json_int_t) ttl_s));
  return TRUE;
}

/* The secret part of a token as it was given out; NULL when it cannot be one. */
static char *
token_secret (const char *token)
{
  const char *dot = strchr (token, '.');
  g_autofree char *secret = g_strndup (token, dot != NULL ? (gsize) (dot - token) : strlen (token));
  return usher_token_is_valid (secret) ? g_steal_pointer (&secret) : NULL;
}

typedef struct {
  const char *name, *csr;
  char *secret;
} Join;

static gboolean
read_join (UsherCall *call, Join *join, GError **error)
{
  static const char *const known[] = { "token", "name", "csr", NULL };
  const char *token = NULL;
  UsherJson body = usher_call_get_body (call);
  if (!usher_json_only (body, known, error) || !usher_json_get_string (body, "token", &token, error)
      || !usher_json_get_string (body, "name", &join->name, error) || !usher_json_get_string (body, "csr", &join->csr, error))
    return FALSE;
  join->secret = token_secret (token);
  if (join->secret == NULL)
    g_set_error (error, USHER_ERROR, USHER_ERROR_UNAUTHENTICATED, "the join token is malformed");
  return join->secret != NULL;
}

static void
answer_join (UsherCall *call, const char *host, const char *deployment, const char *certificate)
{
  const UsherApiParts *parts = &call->api->parts;
  g_autofree char *url = g_strconcat (usher_settings_get_string (parts->settings, "hosts", "advertise_url"), "/host/v1/sync", NULL);
  usher_call_answer (call, 200, json_pack ("{s:s, s:s, s:s, s:s, s:s, s:s}", "host", host, "deployment", deployment, "certificate",
                                           certificate, "ca", usher_ca_get_pem (parts->ca), "grant_key", parts->grant_public,
                                           "sync_url", url));
}

/* The token is used up last, together with the certificate that becomes the host's: whatever fails before leaves it good. */
gboolean
usher_hosts_join_step (UsherCall *call, UsherStore *store, GError **error)
{
  Join join = { 0 };
  usher_call_audit_refusal (call, "join");
  if (!read_join (call, &join, error))
    return FALSE;
  g_autofree char *secret = join.secret;
  guint days = (guint) usher_settings_get_int (settings_of (call), "hosts", "certificate_days");
  g_autofree char *actor_name = g_strconcat ("host ", join.name, NULL);
  const UsherActor actor = { .name = actor_name, .address = call->client, .request = call->request };
  char host[USHER_ID_SIZE], deployment[USHER_ID_SIZE], fingerprint[USHER_FINGERPRINT_SIZE];
  if (!usher_store_get_deployment (store, deployment, error)
      || !usher_store_join_check (store, secret, join.name, host, error))
    return FALSE;
  g_autofree char *certificate = usher_ca_sign_host (call->api->parts.ca, join.csr, host, days, fingerprint, error);
  if (certificate == NULL)
    return FALSE;
  USHER_FAULT_POINT ("api.join.signed");
  if (!usher_store_join_use (store, &actor, secret, join.name, fingerprint, error))
    return FALSE;
  USHER_FAULT_POINT ("api.join.used");
  answer_join (call, host, deployment, certificate);
  return TRUE;
}

/* A host that says nothing for 30 s counts as silent: its pending sync ends well before, so that a loaded machine has
 * time for the next. */
#define SYNC_WAIT_S 20

/* What a host said is taken in at the first look only; its wanted set is asked for at each. */
static const UsherSyncRequest *
take_in (UsherCall *call, UsherStore *store, GError **error)
{
  if (call->data != NULL)
    return call->data;
  g_autoptr (UsherSyncRequest) request = usher_sync_request_from_json (usher_call_get_body (call).object, error);
  if (request == NULL || !usher_store_seen (store, call->host, request, error))
    return NULL;
  USHER_FAULT_POINT ("api.sync.seen");
  usher_call_set_data (call, g_steal_pointer (&request), (GDestroyNotify) usher_sync_request_free);
  return call->data;
}

gboolean
usher_hosts_sync_step (UsherCall *call, UsherStore *store, GError **error)
{
  const UsherSyncRequest *request = take_in (call, store, error);
  if (request == NULL)
    return FALSE;
  gboolean wait = request->wait_s > 0 && !call->last_look;
  g_autoptr (UsherSyncAnswer) answer = NULL;
  if (!usher_store_wanted (store, call->host, request, wait ? request->after : 0, &answer, error))
    return FALSE;
  if (answer == NULL)
    usher_call_wait (call, USHER_KIND_BIT (USHER_KIND_DESKTOP) | USHER_KIND_BIT (USHER_KIND_HOST),
                     (guint) MIN (request->wait_s, SYNC_WAIT_S) * 1000);
  else
    usher_call_answer (call, 200, usher_sync_answer_to_json (answer));
  return TRUE;
}
