#include "hostd/virt/migrate.h"

#include <string.h>

#include "common/error.h"
#include "common/json.h"
#include "hostd/virt/monitor.h"

/* ---- what stands in the way ---- */

static char *
state_obstacle (virDomainPtr domain, const UsherDomainReading *reading)
{
  int state = VIR_DOMAIN_NOSTATE;
  if (virDomainGetState (domain, &state, NULL, 0) < 0 || state != VIR_DOMAIN_RUNNING)
    return g_strdup ("it does not run");
  return reading->run.forking ? g_strdup ("it is still being forked") : NULL;
}

/* What QEMU itself says blocks it: devices that cannot move, among others. */
static gboolean
qemu_obstacle (virDomainPtr domain, char **out, GError **error)
{
  g_autoptr (GString) reasons = g_string_new (NULL);
  json_auto_t *answer = usher_virt_monitor (domain, "query-migrate", NULL, -1, error);
  size_t i;
  json_t *reason;
  if (answer == NULL)
    return FALSE;
  json_array_foreach (json_object_get (answer, "blocked-reasons"), i, reason)
    g_string_append_printf (reasons, "%s%s", i > 0 ? "; " : "", json_is_string (reason) ? json_string_value (reason) : "?");
  *out = reasons->len > 0 ? g_strdup (reasons->str) : NULL;
  return TRUE;
}

/* A fork that kept it would leave at home the RAM that it shares. */
static gboolean
shared_obstacle (virDomainPtr domain, char **out, GError **error)
{
  json_auto_t *answer = usher_virt_monitor (domain, "query-migrate-capabilities", NULL, -1, error);
  size_t i;
  json_t *one;
  if (answer == NULL)
    return FALSE;
  json_array_foreach (answer, i, one)
    if (g_str_equal (usher_json_string (one, "capability"), "x-ignore-shared") && json_is_true (json_object_get (one, "state")))
      *out = g_strdup ("part of its memory would stay behind");
  return TRUE;
}

static gboolean
check (UsherVirt *virt, virDomainPtr domain, char **out, GError **error)
{
  UsherDomainReading reading;
  char *xml = virDomainGetXMLDesc (domain, 0);
  if (xml == NULL)
    return usher_virt_failed (error, "reading the domain");
  gboolean read = usher_domain_xml_read (xml, usher_virt_deployment (virt), &reading, error);
  free (xml);
  if (!read)
    return FALSE;
  *out = state_obstacle (domain, &reading);
  if (*out != NULL)
    return TRUE;
  return qemu_obstacle (domain, out, error) && (*out != NULL || shared_obstacle (domain, out, error));
}

gboolean
usher_virt_migrate_check (UsherVirt *virt, const char *id, char **out_obstacle, GError **error)
{
  char *obstacle = NULL;
  g_autoptr (virDomain) domain = usher_virt_lookup (virt, id, error);
  if (domain == NULL || !check (virt, domain, &obstacle, error))
    return FALSE;
  *out_obstacle = obstacle;
  return TRUE;
}

/* ---- moving ---- */

/* Its definition there: of this run, and for the next start. */
static gboolean
move (virDomainPtr domain, const char *libvirt_uri, const char *data_uri, const char *live, const char *cold, GError **error)
{
  const unsigned flags = VIR_MIGRATE_LIVE | VIR_MIGRATE_PEER2PEER | VIR_MIGRATE_PERSIST_DEST | VIR_MIGRATE_UNDEFINE_SOURCE
                         | VIR_MIGRATE_AUTO_CONVERGE
                         | VIR_MIGRATE_UNSAFE; /* libvirt knows few kinds of shared storage; the caller knows its own */
  virTypedParameterPtr parameters = NULL;
  int count = 0, size = 0;
  gboolean done = virTypedParamsAddString (&parameters, &count, &size, VIR_MIGRATE_PARAM_DEST_XML, live) == 0
                  && virTypedParamsAddString (&parameters, &count, &size, VIR_MIGRATE_PARAM_PERSIST_XML, cold) == 0
                  && (data_uri == NULL
                      || virTypedParamsAddString (&parameters, &count, &size, VIR_MIGRATE_PARAM_URI, data_uri) == 0)
                  && virDomainMigrateToURI3 (domain, libvirt_uri, parameters, (unsigned) count, flags) == 0;
  if (!done)
    usher_virt_failed (error, "live migration");
  virTypedParamsFree (parameters, count);
  return done;
}

static gboolean
describe_and_move (virDomainPtr domain, const char *libvirt_uri, const char *data_uri, GError **error)
{
  char *live = virDomainGetXMLDesc (domain, VIR_DOMAIN_XML_SECURE | VIR_DOMAIN_XML_MIGRATABLE);
  char *cold = virDomainGetXMLDesc (domain, VIR_DOMAIN_XML_SECURE | VIR_DOMAIN_XML_INACTIVE);
  gboolean done = FALSE;
  if (live == NULL || cold == NULL)
    usher_virt_failed (error, "reading the domain");
  else
    {
      g_autofree char *there = usher_domain_xml_migrated (live);
      done = move (domain, libvirt_uri, data_uri, there, cold, error);
      explicit_bzero (there, strlen (there)); /* they hold the console's secret */
    }
  for (char **text = (char *[]) { live, cold, NULL }; *text != NULL; text++)
    explicit_bzero (*text, strlen (*text));
  free (live);
  free (cold);
  return done;
}

gboolean
usher_virt_migrate (UsherVirt *virt, const char *id, const char *libvirt_uri, const char *data_uri, GError **error)
{
  g_autofree char *obstacle = NULL;
  g_autoptr (virDomain) domain = usher_virt_lookup (virt, id, error);
  if (domain == NULL || !check (virt, domain, &obstacle, error))
    return FALSE;
  if (obstacle == NULL)
    return describe_and_move (domain, libvirt_uri, data_uri, error);
  g_set_error (error, USHER_ERROR, USHER_ERROR_CONFLICT, "it cannot be live-migrated: %s", obstacle);
  return FALSE;
}
