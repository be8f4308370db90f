#include "gateway/edge/broker.h"
#include <gio/gunixsocketaddress.h>
#include <libsoup/soup.h>
#include "common/error.h"
#include "common/fault.h"
#include "common/json.h"
#include "common/log.h"

#define BASE "http://broker/gateway/v1"
#define ANSWER_MAX (64 * 1024)
#define EVENTS_MAX 4096
#define EVENT_TIMEOUT_S 10
#define RETRY_FIRST_MS 250
#define RETRY_MAX_MS 5000
#define CONNECTIONS 16

typedef struct {
  char *session;
  UsherSessionEvent *event;
} Event;

struct _UsherBroker {
  UsherLoop *loop;
  char *socket;
  GMainContext *context;
  GMainLoop *main_loop;
  GThread *thread;
  SoupSession *soup; /* this and the rest belong to the thread */
  GQueue events;     /* of Event; the head is the one being sent */
  gboolean sending;
  guint retry_ms;
  GSource *retry;
  GMutex lock; /* guards `told_all` */
  GCond told;
  gboolean told_all;
};

static void
free_event (gpointer data)
{
  Event *event = data;
  g_free (event->session);
  usher_session_event_free (event->event);
  g_free (event);
}

void
usher_redeemed_free (UsherRedeemed *redeemed)
{
  if (redeemed == NULL)
    return;
  usher_redeem_answer_free (redeemed->answer);
  g_free (redeemed);
}

/* Not g_main_context_invoke(): that runs it here and now while the thread has yet to begin. */
static void
run_on_thread (UsherBroker *broker, GSourceFunc func, gpointer data)
{
  g_autoptr (GSource) source = g_idle_source_new ();
  g_source_set_priority (source, G_PRIORITY_DEFAULT);
  g_source_set_callback (source, func, data, NULL);
  g_source_attach (source, broker->context);
}

/* --- HTTP, on the thread --------------------------------------------------------------------------- */

static SoupMessage *
new_message (const char *path, json_t *body)
{
  g_autofree char *url = g_strconcat (BASE, path, NULL);
  g_autofree char *text = usher_json_to_line (body);
  g_autoptr (GBytes) bytes = g_bytes_new (text, strlen (text));
  SoupMessage *message = soup_message_new ("POST", url);
  soup_message_set_request_body_from_bytes (message, "application/json", bytes);
  explicit_bzero (text, strlen (text));
  return message;
}

/* What a finished call gave: TRUE for 2xx with *out_body (may be NULL) set. */
static gboolean
call_finish (SoupSession *soup, GAsyncResult *result, GBytes **out_body, GError **error)
{
  g_autoptr (GError) local = NULL;
  SoupMessage *message = soup_session_get_async_result_message (soup, result);
  g_autoptr (GBytes) body = soup_session_send_and_read_finish (soup, result, &local);
  const guint status = message != NULL ? soup_message_get_status (message) : 0;
  if (local != NULL)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "the broker does not answer: %s", local->message);
      return FALSE;
    }
  if (SOUP_STATUS_IS_SUCCESSFUL (status))
    {
      if (out_body != NULL)
        *out_body = g_steal_pointer (&body);
      return TRUE;
    }
  static const struct {
    guint status;
    UsherError code;
  } codes[] = {
    { 400, USHER_ERROR_INVALID }, { 401, USHER_ERROR_UNAUTHENTICATED }, { 403, USHER_ERROR_REFUSED },
    { 404, USHER_ERROR_MISSING }, { 409, USHER_ERROR_CONFLICT },
  };
  UsherError code = USHER_ERROR_UNAVAILABLE;
  for (guint i = 0; i < G_N_ELEMENTS (codes); i++)
    if (codes[i].status == status)
      code = codes[i].code;
  g_set_error (error, USHER_ERROR, (int) code, "the broker answers %u", status);
  return FALSE;
}

/* --- redeeming --------------------------------------------------------------------------------------- */

typedef struct {
  UsherBroker *broker;
  UsherRedeemRequest *request;
  guint timeout_ms;
  GCancellable *cancellable;
  GSource *timeout;
  UsherRedeemed *redeemed;
  GError *error;
  UsherRedeemDone done;
  gpointer user_data;
} Redeem;

static void
free_redeem (gpointer data)
{
  Redeem *redeem = data;
  usher_redeem_request_free (redeem->request);
  usher_redeemed_free (redeem->redeemed);
  g_clear_error (&redeem->error);
  g_clear_object (&redeem->cancellable);
  g_free (redeem);
}

/* On the loop. */
static void
deliver_redeem (gpointer data)
{
  Redeem *redeem = data;
  redeem->done (g_steal_pointer (&redeem->redeemed), redeem->error, redeem->user_data);
  free_redeem (redeem);
}

static void
post_redeem (Redeem *redeem)
{
  if (redeem->timeout != NULL)
    g_source_destroy (redeem->timeout);
  g_clear_pointer (&redeem->timeout, g_source_unref);
  if (redeem->error != NULL)
    g_clear_pointer (&redeem->redeemed, usher_redeemed_free);
  usher_loop_post (redeem->broker->loop, deliver_redeem, redeem, free_redeem);
}

static gboolean
on_redeem_timeout (gpointer data)
{
  Redeem *redeem = data;
  g_cancellable_cancel (redeem->cancellable);
  return G_SOURCE_REMOVE;
}

static void
set_door (Redeem *redeem, GSocketAddress *address)
{
  UsherAddress *door = &redeem->redeemed->door;
  g_autoptr (GError) error = NULL;
  door->length = (socklen_t) g_socket_address_get_native_size (address);
  if (!g_socket_address_to_native (address, &door->storage, sizeof door->storage, &error))
    g_set_error (&redeem->error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "door: %s", error->message);
}

static void
on_door_resolved (GObject *source, GAsyncResult *result, gpointer data)
{
  Redeem *redeem = data;
  g_autoptr (GError) error = NULL;
  g_autoptr (GSocketAddress) address
      = g_socket_address_enumerator_next_finish (G_SOCKET_ADDRESS_ENUMERATOR (source), result, &error);
  if (address != NULL)
    set_door (redeem, address);
  else
    g_set_error (&redeem->error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "door %s: %s", redeem->redeemed->answer->door,
                 error != NULL ? error->message : "no address");
  post_redeem (redeem);
}

/* The door may be a host's name: names are looked up here, where waiting is allowed. */
static void
resolve_door (Redeem *redeem)
{
  const char *text = redeem->redeemed->answer->door;
  g_autoptr (GError) error = NULL;
  if (usher_address_parse (text, &redeem->redeemed->door, NULL))
    {
      post_redeem (redeem);
      return;
    }
  g_autoptr (GSocketConnectable) place = g_network_address_parse (text, 0, &error);
  if (place == NULL)
    {
      g_set_error (&redeem->error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "door %s: %s", text, error->message);
      post_redeem (redeem);
      return;
    }
  g_autoptr (GSocketAddressEnumerator) addresses = g_socket_connectable_enumerate (place);
  g_socket_address_enumerator_next_async (addresses, redeem->cancellable, on_door_resolved, redeem);
}

static void
on_redeem_answer (GObject *source, GAsyncResult *result, gpointer data)
{
  Redeem *redeem = data;
  g_autoptr (GBytes) body = NULL;
  if (!call_finish (SOUP_SESSION (source), result, &body, &redeem->error))
    {
      post_redeem (redeem);
      return;
    }
  gsize length = 0;
  const char *text = g_bytes_get_data (body, &length);
  g_autoptr (GError) error = NULL;
  json_auto_t *json = usher_json_parse (text, MIN (length, ANSWER_MAX), "the broker's answer", &error);
  redeem->redeemed = g_new0 (UsherRedeemed, 1);
  redeem->redeemed->answer = json != NULL ? usher_redeem_answer_from_json (json, &error) : NULL;
  if (redeem->redeemed->answer != NULL)
    {
      resolve_door (redeem);
      return;
    }
  g_set_error (&redeem->error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "the broker's answer: %s", error->message);
  post_redeem (redeem);
}

static gboolean
start_redeem (gpointer data)
{
  Redeem *redeem = data;
  json_auto_t *body = usher_redeem_request_to_json (redeem->request);
  g_autoptr (SoupMessage) message = new_message ("/redeem", body);
  redeem->cancellable = g_cancellable_new ();
  redeem->timeout = g_timeout_source_new (redeem->timeout_ms);
  g_source_set_callback (redeem->timeout, on_redeem_timeout, redeem, NULL);
  g_source_attach (redeem->timeout, redeem->broker->context);
  soup_session_send_and_read_async (redeem->broker->soup, message, G_PRIORITY_DEFAULT, redeem->cancellable,
                                    on_redeem_answer, redeem);
  return G_SOURCE_REMOVE;
}

void
usher_broker_redeem (UsherBroker *broker, UsherRedeemRequest *request, guint timeout_ms, UsherRedeemDone done,
                     gpointer user_data)
{
  Redeem *redeem = g_new0 (Redeem, 1);
  redeem->broker = broker;
  redeem->request = request;
  redeem->timeout_ms = timeout_ms;
  redeem->done = done;
  redeem->user_data = user_data;
  run_on_thread (broker, start_redeem, redeem);
}

/* --- events, in order --------------------------------------------------------------------------------- */

static void send_next (UsherBroker *broker);

static void
set_told_all (UsherBroker *broker, gboolean all)
{
  g_mutex_lock (&broker->lock);
  broker->told_all = all;
  g_cond_signal (&broker->told);
  g_mutex_unlock (&broker->lock);
}

static gboolean
on_retry (gpointer data)
{
  UsherBroker *broker = data;
  g_clear_pointer (&broker->retry, g_source_unref);
  send_next (broker);
  return G_SOURCE_REMOVE;
}

static void
retry_later (UsherBroker *broker)
{
  broker->retry_ms = CLAMP (broker->retry_ms * 2, RETRY_FIRST_MS, RETRY_MAX_MS);
  broker->retry = g_timeout_source_new (broker->retry_ms);
  g_source_set_callback (broker->retry, on_retry, broker, NULL);
  g_source_attach (broker->retry, broker->context);
}

static void
on_event_answer (GObject *source, GAsyncResult *result, gpointer data)
{
  UsherBroker *broker = data;
  g_autoptr (GError) error = NULL;
  const gboolean taken = call_finish (SOUP_SESSION (source), result, NULL, &error);
  const Event *event = g_queue_peek_head (&broker->events);
  const UsherLogContext context = { .session = event->session };
  broker->sending = FALSE;
  if (!taken && g_error_matches (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE))
    {
      if (broker->retry_ms == 0)
        usher_log (USHER_LOG_WARNING, &context, "a session event waits: %s", error->message);
      retry_later (broker);
      return;
    }
  if (!taken) /* refused for good: a session that is no more, say */
    usher_log (USHER_LOG_NOTICE, &context, "the broker did not take a session event: %s", error->message);
  broker->retry_ms = 0;
  free_event (g_queue_pop_head (&broker->events));
  send_next (broker);
}

static void
send_next (UsherBroker *broker)
{
  const Event *event = g_queue_peek_head (&broker->events);
  if (event == NULL)
    set_told_all (broker, TRUE);
  if (event == NULL || broker->sending || broker->retry != NULL)
    return;
  USHER_FAULT_POINT ("gateway.event-sending");
  g_autofree char *path = g_strdup_printf ("/sessions/%s/events", event->session);
  json_auto_t *body = usher_session_event_to_json (event->event);
  g_autoptr (SoupMessage) message = new_message (path, body);
  broker->sending = TRUE;
  soup_session_send_and_read_async (broker->soup, message, G_PRIORITY_DEFAULT, NULL, on_event_answer, broker);
}

typedef struct {
  UsherBroker *broker;
  Event *event;
} Tell;

static gboolean
queue_event (gpointer data)
{
  Tell *tell = data;
  GQueue *events = &tell->broker->events;
  g_queue_push_tail (events, tell->event);
  if (g_queue_get_length (events) > EVENTS_MAX)
    {
      /* Not the head: it may be on its way. */
      Event *oldest = g_queue_pop_nth (events, 1);
      const UsherLogContext context = { .session = oldest->session };
      usher_log (USHER_LOG_ERROR, &context, "a session event is dropped: %u wait already", EVENTS_MAX);
      free_event (oldest);
    }
  send_next (tell->broker);
  g_free (tell);
  return G_SOURCE_REMOVE;
}

void
usher_broker_tell (UsherBroker *broker, const char *session, UsherSessionEvent *event)
{
  Tell *tell = g_new0 (Tell, 1);
  tell->broker = broker;
  tell->event = g_new0 (Event, 1);
  tell->event->session = g_strdup (session);
  tell->event->event = event;
  set_told_all (broker, FALSE);
  run_on_thread (broker, queue_event, tell);
}

/* --- the thread ----------------------------------------------------------------------------------------- */

static gpointer
run_broker (gpointer data)
{
  UsherBroker *broker = data;
  g_main_context_push_thread_default (broker->context);
  g_autoptr (GSocketAddress) address = g_unix_socket_address_new (broker->socket);
  broker->soup = soup_session_new_with_options ("remote-connectable", address, "max-conns", CONNECTIONS,
                                                "max-conns-per-host", CONNECTIONS, "timeout", EVENT_TIMEOUT_S, NULL);
  g_main_loop_run (broker->main_loop);
  soup_session_abort (broker->soup);
  if (broker->retry != NULL)
    g_source_destroy (broker->retry);
  g_clear_pointer (&broker->retry, g_source_unref);
  /* Aborted calls end in their callbacks. */
  while (g_main_context_iteration (broker->context, FALSE))
    ;
  g_clear_object (&broker->soup);
  g_main_context_pop_thread_default (broker->context);
  return NULL;
}

UsherBroker *
usher_broker_new (UsherLoop *loop, const char *socket, GError **error)
{
  UsherBroker *broker = g_new0 (UsherBroker, 1);
  broker->loop = loop;
  broker->socket = g_strdup (socket);
  broker->context = g_main_context_new ();
  broker->main_loop = g_main_loop_new (broker->context, FALSE);
  g_queue_init (&broker->events);
  g_mutex_init (&broker->lock);
  g_cond_init (&broker->told);
  broker->told_all = TRUE;
  broker->thread = g_thread_try_new ("broker", run_broker, broker, error);
  if (broker->thread == NULL)
    g_clear_pointer (&broker, usher_broker_free);
  return broker;
}

static gboolean
quit_thread (gpointer data)
{
  g_main_loop_quit (data);
  return G_SOURCE_REMOVE;
}

void
usher_broker_close (UsherBroker *broker, guint ms)
{
  if (broker->thread == NULL)
    return;
  const gint64 until = g_get_monotonic_time () + (gint64) ms * 1000;
  g_mutex_lock (&broker->lock);
  while (!broker->told_all && g_cond_wait_until (&broker->told, &broker->lock, until))
    ;
  g_mutex_unlock (&broker->lock);
  run_on_thread (broker, quit_thread, broker->main_loop);
  g_thread_join (g_steal_pointer (&broker->thread));
}

void
usher_broker_free (UsherBroker *broker)
{
  if (broker == NULL)
    return;
  usher_broker_close (broker, 0);
  g_queue_clear_full (&broker->events, free_event);
  g_main_loop_unref (broker->main_loop);
  g_main_context_unref (broker->context);
  g_mutex_clear (&broker->lock);
  g_cond_clear (&broker->told);
  g_free (broker->socket);
  g_free (broker);
}
