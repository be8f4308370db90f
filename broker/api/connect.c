/* Connecting: a ticket for the person's desktop of a pool, for the browser, a viewer, or as a viewer's file. */
#include <sodium.h>
#include <string.h>
#include "broker/api/api_private.h"
#include "broker/api/call_private.h"
#include "broker/api/handlers.h"
#include "broker/api/vv_file.h"
#include "broker/store/people.h"
#include "common/error.h"
#include "common/fault.h"

static void
add_reasons (UsherCall *call, const json_t *reasons)
{
  size_t i;
  json_t *reason;
  json_array_foreach (reasons, i, reason)
    usher_call_add_reason (call, usher_json_string (reason, "rule"), usher_json_string (reason, "message"));
}

static UsherConnect *
connect_pool (UsherCall *call, UsherStore *store, const char *client, GError **error)
{
  UsherActor actor = usher_call_get_actor (call);
  json_auto_t *reasons = NULL;
  UsherConnect *connect = usher_store_connect (store, &actor, call->signed_in->person, usher_call_get_param (call, 0), client,
                                               &reasons, error);
  if (connect == NULL)
    add_reasons (call, reasons);
  USHER_FAULT_POINT ("api.connect.done");
  return connect;
}

static char *
session_url (const UsherApi *api, const char *client)
{
  gboolean browser = g_str_equal (client, "browser");
  gboolean v6 = strchr (api->gateway_host, ':') != NULL;
  return g_strdup_printf ("%s://%s%s%s:%u%s", browser ? "wss" : "spice+tls", v6 ? "[" : "", api->gateway_host, v6 ? "]" : "",
                          api->gateway_port, browser ? "/spice" : "");
}

gboolean
usher_connect_step (UsherCall *call, UsherStore *store, GError **error)
{
  static const char *const known[] = { "client", NULL };
  const char *client = NULL;
  UsherJson body = usher_call_get_body (call);
  if (!usher_json_only (body, known, error) || !usher_json_get_string (body, "client", &client, error))
    return FALSE;
  if (!g_str_equal (client, "browser") && !g_str_equal (client, "spice")) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "body.client: must be browser or spice");
    return FALSE;
  }
  g_autoptr (UsherConnect) connect = connect_pool (call, store, client, error);
  if (connect == NULL)
    return FALSE;
  if (!connect->ready) {
    usher_call_answer (call, 202, json_pack ("{s:O, s:I, s:I}", "desktop", connect->desktop, "eta_s", (json_int_t) connect->eta_s,
                                             "retry_after_ms", (json_int_t) connect->retry_after_ms));
    return TRUE;
  }
  g_autofree char *url = session_url (call->api, client);
  usher_call_answer (call, 200, json_pack ("{s:O, s:s, s:s, s:I, s:s}", "desktop", connect->desktop, "session", connect->session,
                                           "ticket", connect->ticket, "expires_in_s", (json_int_t) connect->expires_in_s, "url",
                                           url));
  return TRUE;
}

static void
wipe_and_free (gpointer text)
{
  sodium_memzero (text, strlen (text));
  g_free (text);
}

gboolean
usher_connect_file_step (UsherCall *call, UsherStore *store, GError **error)
{
  const UsherApi *api = call->api;
  g_autoptr (UsherConnect) connect = connect_pool (call, store, "spice", error);
  if (connect == NULL)
    return FALSE;
  if (!connect->ready) {
    usher_call_set_retry_after (call, MAX (connect->retry_after_ms / 1000, 1));
    g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "the desktop is starting, about %u s", connect->eta_s);
    return FALSE;
  }
  const char *name = usher_json_string (connect->desktop, "name");
  g_autofree char *title = g_strdup_printf ("%s – Usher", name);
  g_autofree char *disposition = g_strdup_printf ("attachment; filename=\"%s.vv\"", name);
  const UsherViewerFile file = { .host = api->gateway_host, .port = api->gateway_port, .ticket = connect->ticket,
                                 .ca_pem = api->gateway_ca, .host_subject = api->gateway_subject, .title = title };
  char *text = usher_viewer_file_write (&file);
  usher_call_set_header (call, "Content-Disposition", disposition);
  usher_call_answer_bytes (call, 200, "application/x-virt-viewer",
                           g_bytes_new_with_free_func (text, strlen (text), wipe_and_free, text));
  return TRUE;
}
