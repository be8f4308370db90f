#include "hostd/virt/connection.h"

#include <string.h>

#include "common/error.h"
#include "common/log.h"

struct _UsherVirt {
  char *uri, *deployment;
  UsherVirtEventFunc func;
  gpointer user_data;
  GMainContext *context; /* where `func` is called */
  GThread *thread;       /* runs libvirt's event loop */
  int wake;              /* libvirt timer that ends a wait of the loop */
  gint stopping;
  GMutex lock; /* guards connection */
  virConnectPtr connection;
};

/* ---- errors ---- */

/* What libvirt's answer means to the caller, where it is not "INTERNAL". */
static const struct {
  int libvirt;
  UsherError ours;
} meanings[] = {
  { VIR_ERR_NO_DOMAIN, USHER_ERROR_MISSING },           { VIR_ERR_NO_CONNECT, USHER_ERROR_UNAVAILABLE },
  { VIR_ERR_INVALID_CONN, USHER_ERROR_UNAVAILABLE },    { VIR_ERR_RPC, USHER_ERROR_UNAVAILABLE },
  { VIR_ERR_AUTH_FAILED, USHER_ERROR_UNAVAILABLE },     { VIR_ERR_OPERATION_TIMEOUT, USHER_ERROR_UNAVAILABLE },
  { VIR_ERR_NO_MEMORY, USHER_ERROR_EXHAUSTED },         { VIR_ERR_AGENT_UNRESPONSIVE, USHER_ERROR_UNAVAILABLE },
  { VIR_ERR_OPERATION_INVALID, USHER_ERROR_CONFLICT }, /* not in a state where that can be done */
};

static UsherError
meaning_of (const virError *problem)
{
  /* The client side of libvirt reports a connection that broke under a call as a system error of RPC. */
  if (problem->domain == VIR_FROM_RPC || problem->domain == VIR_FROM_REMOTE)
    return USHER_ERROR_UNAVAILABLE;
  for (gsize i = 0; i < G_N_ELEMENTS (meanings); i++)
    if (meanings[i].libvirt == problem->code)
      return meanings[i].ours;
  if (problem->message != NULL
      && (strstr (problem->message, "Cannot allocate memory") != NULL || strstr (problem->message, "No space left") != NULL))
    return USHER_ERROR_EXHAUSTED;
  return USHER_ERROR_INTERNAL;
}

gboolean
usher_virt_failed (GError **error, const char *what)
{
  const virError *problem = virGetLastError ();
  if (problem == NULL)
    g_set_error (error, USHER_ERROR, USHER_ERROR_INTERNAL, "libvirt: %s failed and does not say why", what);
  else
    g_set_error (error, USHER_ERROR, meaning_of (problem), "libvirt: %s: %s", what, problem->message);
  return FALSE;
}

void
usher_virt_pause (guint first_us, guint tries)
{
  guint64 pause_us = first_us;
  for (guint i = 0; i < tries && pause_us < 15 * (guint64) first_us; i++)
    pause_us += pause_us / 8;
  g_usleep ((gulong) MIN (pause_us, 15 * (guint64) first_us));
}

static void
quiet (void *user_data, virErrorPtr problem)
{
  /* Errors are returned; libvirt would print them as well. */
}

/* ---- events: from libvirt's thread to the main context ---- */

typedef struct {
  UsherVirt *virt;
  UsherVirtEvent event;
  char *id;
} Notice;

static void
notice_free (Notice *notice)
{
  g_free (notice->id);
  g_free (notice);
}

static gboolean
deliver (gpointer data)
{
  Notice *notice = data;
  if (!g_atomic_int_get (&notice->virt->stopping))
    notice->virt->func (notice->event, notice->id, notice->virt->user_data);
  return G_SOURCE_REMOVE;
}

static void
tell (UsherVirt *virt, UsherVirtEvent event, const char *id)
{
  Notice *notice = g_new0 (Notice, 1);
  *notice = (Notice) { virt, event, g_strdup (id) };
  g_main_context_invoke_full (virt->context, G_PRIORITY_DEFAULT, deliver, notice, (GDestroyNotify) notice_free);
}

static void
tell_of (UsherVirt *virt, UsherVirtEvent event, virDomainPtr domain)
{
  char id[VIR_UUID_STRING_BUFLEN];
  if (virDomainGetUUIDString (domain, id) == 0)
    tell (virt, event, id);
}

static int
on_lifecycle (virConnectPtr connection, virDomainPtr domain, int event, int detail, void *user_data)
{
  tell_of (user_data, USHER_VIRT_CHANGED, domain);
  return 0;
}

static void
on_agent (virConnectPtr connection, virDomainPtr domain, int state, int reason, void *user_data)
{
  tell_of (user_data, USHER_VIRT_CHANGED, domain);
}

static void
on_io_error (virConnectPtr connection, virDomainPtr domain, const char *path, const char *device, int action, void *user_data)
{
  tell_of (user_data, USHER_VIRT_CHANGED, domain);
}

static void
on_reboot (virConnectPtr connection, virDomainPtr domain, void *user_data)
{
  tell_of (user_data, USHER_VIRT_REBOOTED, domain);
}

static void
on_close (virConnectPtr connection, int reason, void *user_data)
{
  tell (user_data, USHER_VIRT_CLOSED, NULL);
}

static const struct {
  int event;
  virConnectDomainEventGenericCallback func;
} subscriptions[] = {
  { VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK (on_lifecycle) },
  { VIR_DOMAIN_EVENT_ID_REBOOT, VIR_DOMAIN_EVENT_CALLBACK (on_reboot) },
  { VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK (on_agent) },
  { VIR_DOMAIN_EVENT_ID_IO_ERROR, VIR_DOMAIN_EVENT_CALLBACK (on_io_error) },
};

static gpointer
event_thread (gpointer data)
{
  UsherVirt *virt = data;
  while (!g_atomic_int_get (&virt->stopping))
    if (virEventRunDefaultImpl () < 0)
      g_usleep (100 * 1000);
  return NULL;
}

static void
on_wake (int timer, void *user_data)
{
  virEventUpdateTimeout (timer, -1);
}

/* ---- the connection ---- */

static void
subscribe (UsherVirt *virt, virConnectPtr connection)
{
  for (gsize i = 0; i < G_N_ELEMENTS (subscriptions); i++)
    if (virConnectDomainEventRegisterAny (connection, NULL, subscriptions[i].event, subscriptions[i].func, virt, NULL) < 0)
      usher_log (USHER_LOG_DEBUG, NULL, "libvirt has no event %d here: %s", subscriptions[i].event, virGetLastErrorMessage ());
  /* Both are lacking in drivers without a daemon, where nothing can break. */
  virConnectSetKeepAlive (connection, 5, 3);
  virConnectRegisterCloseCallback (connection, on_close, virt, NULL);
}

/* Forgets a connection that is dead. Called with the lock held. */
static void
drop_if_dead (UsherVirt *virt)
{
  if (virt->connection == NULL || virConnectIsAlive (virt->connection) == 1)
    return;
  virConnectUnregisterCloseCallback (virt->connection, on_close);
  virConnectClose (virt->connection);
  virt->connection = NULL;
}

virConnectPtr
usher_virt_connect (UsherVirt *virt, GError **error)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&virt->lock);
  drop_if_dead (virt);
  if (virt->connection == NULL)
    {
      virt->connection = virConnectOpen (virt->uri);
      if (virt->connection == NULL)
        {
          g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "libvirt %s: %s", virt->uri, virGetLastErrorMessage ());
          return NULL;
        }
      subscribe (virt, virt->connection);
      usher_log (USHER_LOG_INFO, NULL, "connected to libvirt %s", virt->uri);
    }
  virConnectRef (virt->connection);
  return virt->connection;
}

const char *
usher_virt_deployment (const UsherVirt *virt)
{
  return virt->deployment;
}

gboolean
usher_virt_is_test (const UsherVirt *virt)
{
  return g_str_has_prefix (virt->uri, "test:");
}

UsherVirt *
usher_virt_new (const char *uri, const char *deployment, UsherVirtEventFunc func, gpointer user_data)
{
  UsherVirt *virt = g_new0 (UsherVirt, 1);
  virt->uri = g_strdup (uri);
  virt->deployment = g_strdup (deployment);
  virt->func = func;
  virt->user_data = user_data;
  virt->context = g_main_context_ref_thread_default ();
  g_mutex_init (&virt->lock);
  virSetErrorFunc (NULL, quiet);
  virInitialize ();
  virEventRegisterDefaultImpl ();
  virt->wake = virEventAddTimeout (-1, on_wake, NULL, NULL);
  virt->thread = g_thread_new ("libvirt-events", event_thread, virt);
  return virt;
}

void
usher_virt_free (UsherVirt *virt)
{
  if (virt->connection != NULL)
    {
      virConnectUnregisterCloseCallback (virt->connection, on_close);
      virConnectClose (virt->connection);
    }
  g_atomic_int_set (&virt->stopping, 1);
  virEventUpdateTimeout (virt->wake, 0);
  if (g_main_context_is_owner (NULL))
    g_thread_unref (virt->thread); /* it waits for the context that we have, and never comes to run */
  else
    g_thread_join (virt->thread);
  g_mutex_clear (&virt->lock);
  g_main_context_unref (virt->context);
  g_free (virt->uri);
  g_free (virt->deployment);
  g_free (virt);
}
