#include "common/rpc/redeem.h"

#include "common/error.h"
#include "common/json.h"

#define PATH "redeem"

static const char *const service_names[] = { [USHER_SERVICE_SPICE] = "spice", [USHER_SERVICE_RDP] = "rdp" };
static const char *const event_names[] = { [USHER_SESSION_EVENT_ACTIVE] = "active",
                                           [USHER_SESSION_EVENT_DISCONNECTED] = "disconnected" };

json_t *
usher_redeem_request_to_json (const UsherRedeemRequest *request)
{
  return json_pack ("{s:s, s:s, s:s, s:s}", "ticket", request->ticket, "gateway", request->gateway, "client_address",
                    request->client_address, "carrier", request->carrier);
}

UsherRedeemRequest *
usher_redeem_request_from_json (const json_t *json, GError **error)
{
  g_autoptr (UsherRedeemRequest) request = g_new0 (UsherRedeemRequest, 1);
  UsherJson at = { json, PATH };
  if (!usher_json_dup_string (at, "ticket", &request->ticket, error) || !usher_json_dup_string (at, "gateway", &request->gateway, error)
      || !usher_json_dup_string (at, "client_address", &request->client_address, error)
      || !usher_json_dup_string (at, "carrier", &request->carrier, error))
    return NULL;
  return g_steal_pointer (&request);
}

json_t *
usher_redeem_answer_to_json (const UsherRedeemAnswer *answer)
{
  return json_pack ("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "session", answer->session, "desktop", answer->desktop, "user",
                    answer->user, "service", service_names[answer->service], "door", answer->door, "grant", answer->grant,
                    "secret", usher_secret_peek (answer->secret));
}

UsherRedeemAnswer *
usher_redeem_answer_from_json (const json_t *json, GError **error)
{
  g_autoptr (UsherRedeemAnswer) answer = g_new0 (UsherRedeemAnswer, 1);
  UsherJson at = { json, PATH };
  const char *secret;
  int service = 0;
  if (!usher_json_get_id (at, "session", answer->session, error) || !usher_json_get_id (at, "desktop", answer->desktop, error)
      || !usher_json_dup_string (at, "user", &answer->user, error) || !usher_json_dup_string (at, "door", &answer->door, error)
      || !usher_json_dup_string (at, "grant", &answer->grant, error) || !usher_json_get_string (at, "secret", &secret, error)
      || !usher_json_get_name (at, "service", service_names, G_N_ELEMENTS (service_names), &service, error))
    return NULL;
  answer->service = service;
  answer->secret = usher_secret_new_string (secret);
  return g_steal_pointer (&answer);
}

json_t *
usher_session_event_to_json (const UsherSessionEvent *event)
{
  return json_pack ("{s:s, s:s, s:s, s:I, s:I}", "event", event_names[event->kind], "gateway", event->gateway, "reason",
                    event->reason != NULL ? event->reason : "", "bytes_to_client", (json_int_t) event->bytes_to_client,
                    "bytes_to_desktop", (json_int_t) event->bytes_to_desktop);
}

UsherSessionEvent *
usher_session_event_from_json (const json_t *json, GError **error)
{
  g_autoptr (UsherSessionEvent) event = g_new0 (UsherSessionEvent, 1);
  UsherJson at = { json, "event" };
  int kind = 0;
  if (!usher_json_get_name (at, "event", event_names, G_N_ELEMENTS (event_names), &kind, error)
      || !usher_json_dup_string (at, "gateway", &event->gateway, error) || !usher_json_dup_string (at, "reason", &event->reason, error)
      || !usher_json_get_int (at, "bytes_to_client", 0, G_MAXINT64, &event->bytes_to_client, error)
      || !usher_json_get_int (at, "bytes_to_desktop", 0, G_MAXINT64, &event->bytes_to_desktop, error))
    return NULL;
  event->kind = kind;
  return g_steal_pointer (&event);
}

void
usher_redeem_request_free (UsherRedeemRequest *request)
{
  if (request == NULL)
    return;
  g_free (request->ticket);
  g_free (request->gateway);
  g_free (request->client_address);
  g_free (request->carrier);
  g_free (request);
}

void
usher_redeem_answer_free (UsherRedeemAnswer *answer)
{
  if (answer == NULL)
    return;
  g_free (answer->user);
  g_free (answer->door);
  g_free (answer->grant);
  usher_secret_free (answer->secret);
  g_free (answer);
}

void
usher_session_event_free (UsherSessionEvent *event)
{
  if (event == NULL)
    return;
  g_free (event->gateway);
  g_free (event->reason);
  g_free (event);
}
