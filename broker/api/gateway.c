/* Gateways: trading a ticket for the way to its desktop, and what they tell of sessions. */
#include "broker/api/api_private.h"
#include "broker/api/call_private.h"
#include "broker/api/handlers.h"
#include "broker/store/sessions.h"
#include "common/error.h"
#include "common/fault.h"

#define CONSOLE_WAIT_MS 5000 /* for the host to put the console secret in force */

typedef struct {
  char session[USHER_ID_SIZE];
  char *gateway; /* "gateway gw1" */
  char *client;
} Redeemed;

static void
redeemed_free (Redeemed *redeemed)
{
  g_free (redeemed->gateway);
  g_free (redeemed->client);
  g_free (redeemed);
}

/* The ticket is used up at the first look; what follows waits for the host. */
static Redeemed *
use_ticket (UsherCall *call, UsherStore *store, GError **error)
{
  if (call->data != NULL)
    return call->data;
  g_autoptr (UsherRedeemRequest) request = usher_redeem_request_from_json (usher_call_get_body (call).object, error);
  if (request == NULL)
    return NULL;
  Redeemed *redeemed = g_new0 (Redeemed, 1);
  redeemed->gateway = g_strconcat ("gateway ", request->gateway, NULL);
  redeemed->client = g_strdup (request->client_address);
  const UsherActor actor = { .name = redeemed->gateway, .address = redeemed->client, .request = call->request };
  if (!usher_store_redeem (store, request, &actor, redeemed->session, error)) {
    redeemed_free (redeemed);
    return NULL;
  }
  USHER_FAULT_POINT ("api.redeem.used");
  usher_call_set_data (call, redeemed, (GDestroyNotify) redeemed_free);
  return redeemed;
}

static char *
seal_grant (UsherCall *call, const UsherSessionConsole *console)
{
  gint64 ttl_s = usher_settings_get_int (call->api->parts.settings, "broker", "grant_ttl_s");
  UsherGrant grant = { .service = USHER_SERVICE_SPICE, .expires_at = g_get_real_time () / G_USEC_PER_SEC + ttl_s };
  g_strlcpy (grant.desktop, console->desktop, sizeof grant.desktop);
  g_strlcpy (grant.host, console->host, sizeof grant.host);
  g_strlcpy (grant.session, console->session, sizeof grant.session);
  return usher_grant_seal (&grant, call->api->parts.grant_secret);
}

static void
answer_redeem (UsherCall *call, UsherSessionConsole *console)
{
  g_autofree char *grant = seal_grant (call, console);
  UsherRedeemAnswer answer = { .user = console->user, .service = USHER_SERVICE_SPICE, .door = console->door, .grant = grant,
                               .secret = console->secret };
  g_strlcpy (answer.session, console->session, sizeof answer.session);
  g_strlcpy (answer.desktop, console->desktop, sizeof answer.desktop);
  usher_call_answer (call, 200, usher_redeem_answer_to_json (&answer));
}

/* The desktop did not answer in time: the session ends here, and says why. */
static gboolean
give_up (UsherCall *call, UsherStore *store, const Redeemed *redeemed, const GError *why, GError **error)
{
  const UsherActor actor = { .name = redeemed->gateway, .address = redeemed->client, .request = call->request };
  const char *reason = why != NULL ? why->message : "the host did not open the desktop's console in time";
  g_autoptr (GError) local = NULL;
  if (!usher_store_session_fail (store, &actor, redeemed->session, reason, &local))
    usher_log (USHER_LOG_WARNING, NULL, "session %s could not be ended: %s", redeemed->session, local->message);
  g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "the desktop does not answer: %s", reason);
  return FALSE;
}

gboolean
usher_gateway_redeem_step (UsherCall *call, UsherStore *store, GError **error)
{
  const Redeemed *redeemed = use_ticket (call, store, error);
  if (redeemed == NULL)
    return FALSE;
  g_autoptr (GError) local = NULL;
  g_autoptr (UsherSessionConsole) console = usher_store_session_console (store, redeemed->session, &local);
  if (console != NULL && console->in_force) {
    answer_redeem (call, console);
    return TRUE;
  }
  if (call->last_look || (local != NULL && usher_error_code (local) == USHER_ERROR_MISSING))
    return give_up (call, store, redeemed, local, error);
  usher_call_wait (call, USHER_KIND_BIT (USHER_KIND_DESKTOP) | USHER_KIND_BIT (USHER_KIND_SESSION), CONSOLE_WAIT_MS);
  return TRUE;
}

gboolean
usher_gateway_event_step (UsherCall *call, UsherStore *store, GError **error)
{
  g_autoptr (UsherSessionEvent) event = usher_session_event_from_json (usher_call_get_body (call).object, error);
  if (event == NULL)
    return FALSE;
  g_autofree char *gateway = g_strconcat ("gateway ", event->gateway, NULL);
  const UsherActor actor = { .name = gateway, .request = call->request };
  if (!usher_store_session_event (store, &actor, usher_call_get_param (call, 0), event, error))
    return FALSE;
  usher_call_answer_empty (call, 204);
  return TRUE;
}
