#include "hostd/sync/client.h"

#include <libsoup/soup.h>

#include "common/error.h"
#include "common/json.h"
#include "common/log.h"
#include "common/pace.h"

#define SYNC_PATH "/host/v1/sync"
#define ANSWER_MAX (32 * 1024 * 1024)
#define COALESCE_MS 30   /* changes that come together go together */
#define SPACING_MS 100   /* requests of a busy host come no closer than this on average, for each says everything anew... */
#define BURST 3          /* ...and so many of a host that was quiet may come at once, so that a click does not wait */
#define CONFIRM_MS 2000  /* see send_now() */
#define NO_ANSWER_S (USHER_SYNC_WAIT_MAX_S + 20)

struct _UsherSyncClient {
  UsherLink *link;
  char *deployment, *host;
  UsherSyncFill fill;
  UsherSyncApply apply;
  gpointer user_data;
  GCancellable *cancellable;
  gint64 version;         /* of the wanted set last applied */
  guint64 sent;           /* number of the last request sent */
  guint64 sent_before;    /* what that was when `version` came */
  gint64 poll_sent_at;    /* monotonic ms */
  UsherPace pace;         /* of the requests */
  gboolean polling, asking; /* the waiting request, the immediate one, is out */
  gboolean again;         /* changed while asking */
  guint failures;
  guint soon_timer, confirm_timer, retry_timer;
};

/* One request on its way. */
typedef struct {
  UsherSyncClient *client;
  SoupMessage *message;
  guint64 number;
  gboolean poll;
} Call;

static void send_now (UsherSyncClient *client);
static void send_soon (UsherSyncClient *client);

guint
usher_sync_backoff_ms (guint failures, double random)
{
  guint full = (guint) MIN ((guint64) 500 << MIN (MAX (failures, 1) - 1, 10), 15000);
  return full / 2 + (guint) (random * full / 2);
}

/* ---- answers ---- */

static UsherSyncAnswer *
read_answer (const UsherSyncClient *client, SoupMessage *message, GBytes *body, GError **error)
{
  gsize length;
  const char *text = g_bytes_get_data (body, &length);
  guint status = soup_message_get_status (message);
  if (status != SOUP_STATUS_OK)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "the broker answers %u: %.*s", status, (int) MIN (length, 300), text);
      return NULL;
    }
  if (length > ANSWER_MAX)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_TOO_LARGE, "the broker's answer has %" G_GSIZE_FORMAT " bytes", length);
      return NULL;
    }
  json_auto_t *json = usher_json_parse (text, length, "the broker's answer", error);
  g_autoptr (UsherSyncAnswer) answer = json != NULL ? usher_sync_answer_from_json (json, error) : NULL;
  if (answer == NULL)
    return NULL;
  if (!g_str_equal (answer->deployment, client->deployment) || !g_str_equal (answer->host, client->host))
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_REFUSED, "the broker is of deployment %s and speaks to host %s: not obeyed",
                   answer->deployment, answer->host);
      return NULL;
    }
  return g_steal_pointer (&answer);
}

/* Answers may overtake each other. An older version counts only from a request that was sent after the newer one
 * had come: then the broker's records went back (a restored database), and they are the truth. */
static gboolean
is_news (const UsherSyncClient *client, const Call *call, const UsherSyncAnswer *answer)
{
  return answer->version >= client->version || call->number > client->sent_before;
}

static gboolean
on_retry (gpointer data)
{
  UsherSyncClient *client = data;
  client->retry_timer = 0;
  send_now (client);
  return G_SOURCE_REMOVE;
}

static void
failed (UsherSyncClient *client, const GError *problem)
{
  client->failures++;
  if (client->retry_timer != 0)
    return;
  guint pause_ms = usher_sync_backoff_ms (client->failures, g_random_double ());
  usher_log (client->failures == 1 ? USHER_LOG_WARNING : USHER_LOG_DEBUG, NULL,
             "sync: %s; desktops go on, and the broker is asked again in %u ms", problem->message, pause_ms);
  client->retry_timer = g_timeout_add (pause_ms, on_retry, client);
}

static void
succeeded (UsherSyncClient *client, const Call *call, const UsherSyncAnswer *answer)
{
  if (client->failures > 0)
    usher_log (USHER_LOG_NOTICE, NULL, "sync: the broker answers again");
  client->failures = 0;
  g_clear_handle_id (&client->retry_timer, g_source_remove);
  if (is_news (client, call, answer))
    {
      client->version = answer->version;
      client->sent_before = client->sent;
      client->apply (answer, client->user_data);
    }
  if (!client->polling)
    send_soon (client);
}

static void
call_free (Call *call)
{
  g_object_unref (call->message);
  g_free (call);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC (Call, call_free)

static void
on_answer (GObject *source, GAsyncResult *result, gpointer user_data)
{
  g_autoptr (Call) call = user_data;
  g_autoptr (GError) problem = NULL;
  g_autoptr (GBytes) body = soup_session_send_and_read_finish (SOUP_SESSION (source), result, &problem);
  if (g_error_matches (problem, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return; /* the client is being freed */
  UsherSyncClient *client = call->client;
  gboolean *out = call->poll ? &client->polling : &client->asking;
  *out = FALSE;
  g_autoptr (UsherSyncAnswer) answer = body != NULL ? read_answer (client, call->message, body, &problem) : NULL;
  if (answer == NULL)
    failed (client, problem);
  else
    succeeded (client, call, answer);
  if (!client->asking && client->again && client->failures == 0)
    send_soon (client);
}

/* ---- requests ---- */

static gboolean
send_request (UsherSyncClient *client, gboolean poll)
{
  g_autoptr (UsherSyncRequest) request = usher_sync_request_new ();
  if (!client->fill (request, client->user_data))
    return FALSE;
  request->deployment = g_strdup (client->deployment);
  request->after = client->version;
  request->wait_s = poll ? USHER_SYNC_WAIT_MAX_S : 0;
  usher_pace_take (&client->pace, g_get_monotonic_time ());
  json_auto_t *json = usher_sync_request_to_json (request);
  char *line = usher_json_to_line (json);
  g_autoptr (GBytes) body = g_bytes_new_take (line, strlen (line));
  Call *call = g_new0 (Call, 1);
  *call = (Call) { client, usher_link_message (client->link, SOUP_METHOD_POST, SYNC_PATH), ++client->sent, poll };
  /* A sync may be repeated; else libsoup would open a new connection, with a new handshake, for each POST. */
  soup_message_add_flags (call->message, SOUP_MESSAGE_IDEMPOTENT);
  soup_message_set_request_body_from_bytes (call->message, "application/json", body);
  soup_session_send_and_read_async (usher_link_get_session (client->link), call->message, G_PRIORITY_DEFAULT, client->cancellable,
                                    on_answer, call);
  return TRUE;
}

static void
send_poll (UsherSyncClient *client)
{
  client->polling = send_request (client, TRUE);
  client->poll_sent_at = g_get_monotonic_time () / 1000;
}

static gboolean
on_confirm (gpointer data)
{
  UsherSyncClient *client = data;
  client->confirm_timer = 0;
  usher_sync_client_changed (client);
  return G_SOURCE_REMOVE;
}

/* A poll that was sent just before may reach the broker after this, with the older news: then say it once more. */
static void
send_now (UsherSyncClient *client)
{
  if (client->asking)
    {
      client->again = TRUE;
      return;
    }
  client->again = FALSE;
  client->asking = send_request (client, FALSE);
  if (client->asking && client->polling && client->confirm_timer == 0
      && g_get_monotonic_time () / 1000 < client->poll_sent_at + CONFIRM_MS)
    client->confirm_timer = g_timeout_add (CONFIRM_MS, on_confirm, client);
}

/* The waiting request carries a report as well as any: when none is out, it is the one that goes. */
static gboolean
on_soon (gpointer data)
{
  UsherSyncClient *client = data;
  client->soon_timer = 0;
  if (client->polling)
    send_now (client);
  else
    send_poll (client);
  return G_SOURCE_REMOVE;
}

static void
send_soon (UsherSyncClient *client)
{
  gint64 pause_ms = usher_pace_get_pause_us (&client->pace, g_get_monotonic_time ()) / 1000;
  if (client->retry_timer == 0 && client->soon_timer == 0) /* else the next one says it all */
    client->soon_timer = g_timeout_add ((guint) MAX (pause_ms, COALESCE_MS), on_soon, client);
}

void
usher_sync_client_changed (UsherSyncClient *client)
{
  send_soon (client);
}

/* ---- life ---- */

UsherSyncClient *
usher_sync_client_new (const UsherSyncConfig *config, UsherSyncFill fill, UsherSyncApply apply, gpointer user_data, GError **error)
{
  g_autoptr (UsherSyncClient) client = g_new0 (UsherSyncClient, 1);
  client->cancellable = g_cancellable_new ();
  client->pace = (UsherPace){ .spacing_us = SPACING_MS * 1000, .burst = BURST };
  client->fill = fill;
  client->apply = apply;
  client->user_data = user_data;
  client->deployment = g_strdup (config->deployment);
  client->host = g_strdup (config->host);
  client->link = usher_link_new (&config->link, NO_ANSWER_S, error);
  if (client->link == NULL)
    return NULL;
  return g_steal_pointer (&client);
}

void
usher_sync_client_free (UsherSyncClient *client)
{
  g_cancellable_cancel (client->cancellable);
  g_clear_handle_id (&client->soon_timer, g_source_remove);
  g_clear_handle_id (&client->confirm_timer, g_source_remove);
  g_clear_handle_id (&client->retry_timer, g_source_remove);
  g_clear_pointer (&client->link, usher_link_free);
  g_clear_object (&client->cancellable);
  g_free (client->deployment);
  g_free (client->host);
  g_free (client);
}
