/* What virt.h does to domains. */
#include <libvirt/libvirt-qemu.h>
#include <string.h>

#include "common/error.h"
#include "common/log.h"
#include "hostd/virt/connection.h"

#define AGENT_WAIT_S 3

G_DEFINE_AUTOPTR_CLEANUP_FUNC (virNetwork, virNetworkFree)

virDomainPtr
usher_virt_lookup (UsherVirt *virt, const char *id, GError **error)
{
  g_autoptr (virConnect) connection = usher_virt_connect (virt, error);
  if (connection == NULL)
    return NULL;
  virDomainPtr domain = virDomainLookupByUUIDString (connection, id);
  if (domain == NULL)
    usher_virt_failed (error, "looking for the domain");
  return domain;
}

/* Reads the domain's XML without its secrets. */
static gboolean
read_domain (UsherVirt *virt, virDomainPtr domain, UsherDomainReading *out, GError **error)
{
  char *xml = virDomainGetXMLDesc (domain, 0);
  if (xml == NULL)
    return usher_virt_failed (error, "reading the domain");
  gboolean read = usher_domain_xml_read (xml, usher_virt_deployment (virt), out, error);
  free (xml);
  return read;
}

char **
usher_virt_list (UsherVirt *virt, GError **error)
{
  g_autoptr (virConnect) connection = usher_virt_connect (virt, error);
  virDomainPtr *domains = NULL;
  if (connection == NULL)
    return NULL;
  int count = virConnectListAllDomains (connection, &domains, 0);
  if (count < 0)
    {
      usher_virt_failed (error, "listing domains");
      return NULL;
    }
  g_autoptr (GStrvBuilder) ids = g_strv_builder_new ();
  for (int i = 0; i < count; i++)
    {
      UsherDomainReading reading;
      char id[VIR_UUID_STRING_BUFLEN];
      /* One that ended meanwhile can't be read: then it isn't there. */
      if (read_domain (virt, domains[i], &reading, NULL) && reading.ours && virDomainGetUUIDString (domains[i], id) == 0)
        g_strv_builder_add (ids, id);
      virDomainFree (domains[i]);
    }
  free (domains);
  return g_strv_builder_end (ids);
}

/* ---- looking ---- */

static const char *const off_reasons[] = {
  [VIR_DOMAIN_SHUTOFF_SHUTDOWN] = "shut down",         [VIR_DOMAIN_SHUTOFF_DESTROYED] = "destroyed",
  [VIR_DOMAIN_SHUTOFF_CRASHED] = "crashed",            [VIR_DOMAIN_SHUTOFF_MIGRATED] = "migrated away",
  [VIR_DOMAIN_SHUTOFF_SAVED] = "saved",                [VIR_DOMAIN_SHUTOFF_FAILED] = "failed to start",
  [VIR_DOMAIN_SHUTOFF_FROM_SNAPSHOT] = "snapshot",     [VIR_DOMAIN_SHUTOFF_DAEMON] = "ended by libvirt",
};

static UsherDomainState
state_of (int state, int reason, const char **out_why)
{
  *out_why = "";
  switch (state)
    {
    case VIR_DOMAIN_SHUTOFF:
      if (reason >= 0 && reason < (int) G_N_ELEMENTS (off_reasons) && off_reasons[reason] != NULL)
        *out_why = off_reasons[reason];
      return USHER_DOMAIN_OFF;
    case VIR_DOMAIN_CRASHED:
      *out_why = "crashed";
      return USHER_DOMAIN_OFF;
    case VIR_DOMAIN_PAUSED:
      *out_why = reason == VIR_DOMAIN_PAUSED_IOERROR ? "its disk cannot be written" : "paused";
      return USHER_DOMAIN_PAUSED;
    case VIR_DOMAIN_PMSUSPENDED:
      *out_why = "asleep";
      return USHER_DOMAIN_PAUSED;
    default: /* running, blocked, shutting down: QEMU is there */
      return USHER_DOMAIN_RUNNING;
    }
}

/* State and XML of one moment: libvirt gives them one after the other, and a domain that ends between the two
 * would look like one that runs and has lost its metadata. */
static gboolean
read_state (UsherVirt *virt, virDomainPtr domain, int *out_state, int *out_reason, UsherDomainReading *out, GError **error)
{
  int before = -1, reason;
  if (virDomainGetState (domain, out_state, out_reason, 0) < 0)
    return usher_virt_failed (error, "asking the domain's state");
  for (guint i = 0; i < 5 && before != *out_state; i++)
    {
      before = *out_state;
      if (!read_domain (virt, domain, out, error))
        return FALSE;
      if (virDomainGetState (domain, out_state, &reason, 0) < 0)
        return usher_virt_failed (error, "asking the domain's state");
      *out_reason = reason;
    }
  return TRUE;
}

gboolean
usher_virt_look (UsherVirt *virt, const char *id, UsherDomainFacts *out, GError **error)
{
  g_autoptr (GError) problem = NULL;
  g_autoptr (virDomain) domain = usher_virt_lookup (virt, id, &problem);
  if (g_error_matches (problem, USHER_ERROR, USHER_ERROR_MISSING))
    {
      *out = (UsherDomainFacts) { .state = USHER_DOMAIN_NONE, .why = "" };
      return TRUE;
    }
  if (domain == NULL)
    {
      g_propagate_error (error, g_steal_pointer (&problem));
      return FALSE;
    }
  UsherDomainFacts facts = { .why = "" };
  UsherDomainReading reading;
  int state, reason;
  if (!read_state (virt, domain, &state, &reason, &reading, error))
    return FALSE;
  facts.state = reading.ours ? state_of (state, reason, &facts.why) : USHER_DOMAIN_FOREIGN;
  if (facts.state == USHER_DOMAIN_RUNNING || facts.state == USHER_DOMAIN_PAUSED)
    {
      facts.run = reading.run;
      facts.spice_port = reading.spice_port;
    }
  *out = facts;
  return TRUE;
}

char *
usher_virt_find_network (UsherVirt *virt)
{
  g_autoptr (virConnect) connection = usher_virt_connect (virt, NULL);
  g_autoptr (virNetwork) network = connection != NULL ? virNetworkLookupByName (connection, "default") : NULL;
  return network != NULL && virNetworkIsActive (network) == 1 ? g_strdup ("default") : NULL;
}

/* ---- doing ---- */

gboolean
usher_virt_define (UsherVirt *virt, const UsherDomainSpec *spec, GError **error)
{
  g_autoptr (virConnect) connection = usher_virt_connect (virt, error);
  if (connection == NULL)
    return FALSE;
  g_autofree char *xml = usher_domain_xml (spec);
  g_autoptr (virDomain) domain = virDomainDefineXMLFlags (connection, xml, 0);
  return domain != NULL || usher_virt_failed (error, "defining the domain");
}

/* One call on a domain that returns -1 on failure; a missing domain is an error. */
static gboolean
act (UsherVirt *virt, const char *id, int (*func) (virDomainPtr domain), const char *what, GError **error)
{
  g_autoptr (virDomain) domain = usher_virt_lookup (virt, id, error);
  if (domain == NULL)
    return FALSE;
  return func (domain) >= 0 || usher_virt_failed (error, what);
}

gboolean
usher_virt_start (UsherVirt *virt, const char *id, GError **error)
{
  return act (virt, id, virDomainCreate, "starting", error);
}

gboolean
usher_virt_resume (UsherVirt *virt, const char *id, GError **error)
{
  return act (virt, id, virDomainResume, "resuming", error);
}

static int
shutdown_by_any (virDomainPtr domain)
{
  if (virDomainShutdownFlags (domain, VIR_DOMAIN_SHUTDOWN_GUEST_AGENT) == 0)
    return 0;
  return virDomainShutdown (domain);
}

static int
reboot_by_any (virDomainPtr domain)
{
  if (virDomainReboot (domain, VIR_DOMAIN_REBOOT_GUEST_AGENT) == 0)
    return 0;
  return virDomainReboot (domain, 0);
}

static int
reset (virDomainPtr domain)
{
  return virDomainReset (domain, 0);
}

gboolean
usher_virt_shutdown (UsherVirt *virt, const char *id, GError **error)
{
  return act (virt, id, shutdown_by_any, "asking the guest to shut down", error);
}

gboolean
usher_virt_reboot (UsherVirt *virt, const char *id, GError **error)
{
  return act (virt, id, reboot_by_any, "asking the guest to restart", error);
}

gboolean
usher_virt_reset (UsherVirt *virt, const char *id, GError **error)
{
  return act (virt, id, reset, "resetting", error);
}

/* Passes over an error that says the wished-for end is there already. */
static gboolean
unless (gboolean done, UsherError harmless, GError *problem, GError **error)
{
  if (done || g_error_matches (problem, USHER_ERROR, harmless))
    {
      g_clear_error (&problem);
      return TRUE;
    }
  g_propagate_error (error, problem);
  return FALSE;
}

static int
destroy (virDomainPtr domain)
{
  return virDomainIsActive (domain) == 0 ? 0 : virDomainDestroy (domain);
}

gboolean
usher_virt_destroy (UsherVirt *virt, const char *id, GError **error)
{
  GError *problem = NULL;
  gboolean done = act (virt, id, destroy, "ending the domain", &problem);
  return unless (done, USHER_ERROR_MISSING, problem, error);
}

gboolean
usher_virt_undefine (UsherVirt *virt, const char *id, GError **error)
{
  unsigned flags = VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA;
  GError *problem = NULL;
  if (!usher_virt_is_test (virt))
    flags |= VIR_DOMAIN_UNDEFINE_NVRAM | VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA;
  g_autoptr (virDomain) domain = usher_virt_lookup (virt, id, &problem);
  if (domain == NULL)
    return unless (FALSE, USHER_ERROR_MISSING, problem, error);
  return virDomainUndefineFlags (domain, flags) >= 0 || usher_virt_failed (error, "undefining the domain");
}

gboolean
usher_virt_ping (UsherVirt *virt, const char *id, gboolean *out_answers, GError **error)
{
  g_autoptr (virDomain) domain = usher_virt_lookup (virt, id, error);
  if (domain == NULL)
    return FALSE;
  char *answer = virDomainQemuAgentCommand (domain, "{\"execute\":\"guest-ping\"}", AGENT_WAIT_S, 0);
  *out_answers = answer != NULL;
  free (answer);
  return TRUE; /* an agent that does not answer is an answer; the next look finds a broken libvirt */
}

gboolean
usher_virt_set_console (UsherVirt *virt, const char *id, const char *secret, gint64 valid_until, GError **error)
{
  if (usher_virt_is_test (virt))
    return TRUE; /* its domains have no console that a secret could open */
  g_autoptr (virDomain) domain = usher_virt_lookup (virt, id, error);
  if (domain == NULL)
    return FALSE;
  char *xml = usher_domain_xml_graphics (secret, valid_until);
  int done = virDomainUpdateDeviceFlags (domain, xml, VIR_DOMAIN_AFFECT_LIVE);
  explicit_bzero (xml, strlen (xml));
  g_free (xml);
  return done == 0 || usher_virt_failed (error, "setting the console secret");
}

gboolean
usher_virt_set_run (UsherVirt *virt, const char *id, const UsherDomainRun *run, GError **error)
{
  g_autoptr (virDomain) domain = usher_virt_lookup (virt, id, error);
  if (domain == NULL)
    return FALSE;
  g_autofree char *xml = usher_domain_xml_run (run);
  return virDomainSetMetadata (domain, VIR_DOMAIN_METADATA_ELEMENT, xml, USHER_XML_RUN_PREFIX, USHER_XML_RUN_URI,
                               VIR_DOMAIN_AFFECT_LIVE) == 0
         || usher_virt_failed (error, "noting the run on the domain");
}
