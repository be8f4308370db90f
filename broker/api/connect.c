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

#define WAIT_MAX_S 25

static void
add_reasons (UsherCall *call, const json_t *reasons)
{
  size_t i;
  json_t *reason;
  json_array_foreach (reasons, i, reason)
    usher_call_add_reason (call, usher_json_string (reason, "rule"), usher_json_string (reason, "message"));
}

/* What a waiting call saw of the person's desktop before it asked for it the last time. */
typedef struct {
  gint64 version;
} Waiting;

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

/* Who signed out meanwhile is not given another desktop. */
static gboolean
is_still_signed_in (UsherCall *call, UsherStore *store, GError **error)
{
  g_autoptr (UsherSignedIn) who = usher_store_find_signed_in (store, call->token, error);
  return who != NULL;
}

/* As connect_pool(); not ready yet and `wait_s` not over: TRUE, *out untouched, and the call looks again when the desktop
 * changed. Another's desktop wakes it too, and costs one small question. */
static gboolean
connect_or_wait (UsherCall *call, UsherStore *store, const char *client, gint64 wait_s, UsherConnect **out, GError **error)
{
  gboolean may_wait = wait_s > 0 && !call->last_look;
  Waiting *waiting = call->data;
  gint64 version = 0;
  if (waiting != NULL && !is_still_signed_in (call, store, error))
    return FALSE;
  if (may_wait && !usher_store_connect_version (store, call->signed_in->person, usher_call_get_param (call, 0), &version, error))
    return FALSE;
  if (!may_wait || waiting == NULL || waiting->version != version) {
    g_autoptr (UsherConnect) connect = connect_pool (call, store, client, error);
    if (connect == NULL)
      return FALSE;
    if (connect->ready || !may_wait) {
      *out = g_steal_pointer (&connect);
      return TRUE;
    }
  }
  if (waiting == NULL) {
    waiting = g_new0 (Waiting, 1);
    usher_call_set_data (call, waiting, g_free);
  }
  waiting->version = version;
  usher_call_wait (call, USHER_KIND_BIT (USHER_KIND_DESKTOP), (guint) wait_s * 1000);
  return TRUE;
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
  static const char *const known[] = { "client", "wait_s", NULL };
  const char *client = NULL;
  gint64 wait_s = 0;
  UsherJson body = usher_call_get_body (call);
  if (!usher_json_only (body, known, error) || !usher_json_get_string (body, "client", &client, error)
      || !usher_json_find_int (body, "wait_s", 0, WAIT_MAX_S, &wait_s, error))
    return FALSE;
  if (!g_str_equal (client, "browser") && !g_str_equal (client, "spice")) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "body.client: must be browser or spice");
    return FALSE;
  }
  g_autoptr (UsherConnect) connect = NULL;
  if (!connect_or_wait (call, store, client, wait_s, &connect, error))
    return FALSE;
  if (connect == NULL)
    return TRUE;
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
  gint64 wait_s = 0;
  g_autoptr (UsherConnect) connect = NULL;
  if (!usher_call_find_query_int (call, "wait_s", 0, WAIT_MAX_S, &wait_s, error)
      || !connect_or_wait (call, store, "spice", wait_s, &connect, error))
    return FALSE;
  if (connect == NULL)
    return TRUE;
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
