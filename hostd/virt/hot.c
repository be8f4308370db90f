#include "hostd/virt/hot.h"

#include <string.h>

#include "common/error.h"
#include "common/json.h"
#include "hostd/virt/monitor.h"

#define ASK_AGAIN_US (3 * 1000)
#define FD_NAME "usher-state"

gboolean
usher_virt_start_hot (UsherVirt *virt, const UsherDomainSpec *spec, GError **error)
{
  g_autoptr (virConnect) connection = usher_virt_connect (virt, error);
  if (connection == NULL)
    return FALSE;
  g_autofree char *xml = usher_domain_xml (spec);
  unsigned flags = spec->hot->parent ? VIR_DOMAIN_NONE : VIR_DOMAIN_START_PAUSED;
  g_autoptr (virDomain) domain = virDomainCreateXML (connection, xml, flags);
  return domain != NULL || usher_virt_failed (error, spec->hot->parent ? "starting the parent" : "starting the fork");
}

gboolean
usher_virt_suspend (UsherVirt *virt, const char *id, GError **error)
{
  g_autoptr (virDomain) domain = usher_virt_lookup (virt, id, error);
  return domain != NULL && (virDomainSuspend (domain) == 0 || usher_virt_failed (error, "suspending"));
}

/* ---- state ---- */

static gboolean
ignore_shared (virDomainPtr domain, gboolean ignore, GError **error)
{
  json_t *arguments = json_pack ("{s:[{s:s,s:b}]}", "capabilities", "capability", "x-ignore-shared", "state", ignore);
  return usher_virt_monitor_do (domain, "migrate-set-capabilities", arguments, -1, error);
}

/* Gives `fd` to QEMU and has it go on with `command` from or to there. */
static gboolean
begin (virDomainPtr domain, const char *command, int fd, GError **error)
{
  return ignore_shared (domain, TRUE, error)
         && usher_virt_monitor_do (domain, "getfd", json_pack ("{s:s}", "fdname", FD_NAME), fd, error)
         && usher_virt_monitor_do (domain, command, json_pack ("{s:s}", "uri", "fd:" FD_NAME), -1, error);
}

/* One look: TRUE and *out_done, or what went wrong. */
typedef gboolean (*Look) (virDomainPtr domain, gboolean *out_done, GError **error);

static gboolean
wait_for (virDomainPtr domain, Look look, guint timeout_ms, const char *what, GError **error)
{
  gint64 until = g_get_monotonic_time () + (gint64) timeout_ms * 1000;
  gboolean done = FALSE;
  for (guint tries = 0; g_get_monotonic_time () < until; tries++)
    {
      if (!look (domain, &done, error))
        return FALSE;
      if (done)
        return TRUE;
      usher_virt_pause (ASK_AGAIN_US, tries);
    }
  g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "%s: not done within %u ms", what, timeout_ms);
  return FALSE;
}

static gboolean
look_out (virDomainPtr domain, gboolean *out_done, GError **error)
{
  json_auto_t *answer = usher_virt_monitor (domain, "query-migrate", NULL, -1, error);
  if (answer == NULL)
    return FALSE;
  const char *status = usher_json_string (answer, "status");
  *out_done = g_str_equal (status, "completed");
  if (!g_str_equal (status, "failed") && !g_str_equal (status, "cancelled"))
    return TRUE;
  g_set_error (error, USHER_ERROR, USHER_ERROR_INTERNAL, "QEMU: writing its state: %s %s", status,
               usher_json_string (answer, "error-desc"));
  return FALSE;
}

static gboolean
look_in (virDomainPtr domain, gboolean *out_done, GError **error)
{
  json_auto_t *answer = usher_virt_monitor (domain, "query-status", NULL, -1, error);
  if (answer == NULL)
    return FALSE;
  *out_done = !g_str_equal (usher_json_string (answer, "status"), "inmigrate");
  return TRUE;
}

gboolean
usher_virt_state_out (UsherVirt *virt, const char *id, int fd, guint timeout_ms, GError **error)
{
  g_autoptr (virDomain) domain = usher_virt_lookup (virt, id, error);
  return domain != NULL && begin (domain, "migrate", fd, error)
         && wait_for (domain, look_out, timeout_ms, "writing its state", error);
}

gboolean
usher_virt_state_in (UsherVirt *virt, const char *id, int fd, guint timeout_ms, GError **error)
{
  g_autoptr (virDomain) domain = usher_virt_lookup (virt, id, error);
  return domain != NULL && begin (domain, "migrate-incoming", fd, error)
         && wait_for (domain, look_in, timeout_ms, "reading its state", error)
         && ignore_shared (domain, FALSE, error); /* or its own live migration would leave its RAM out, or be refused */
}

/* ---- devices ---- */

static gboolean
plug (UsherVirt *virt, const char *id, const char *xml, const char *what, GError **error)
{
  if (*xml == '\0')
    return TRUE;
  g_autoptr (virDomain) domain = usher_virt_lookup (virt, id, error);
  return domain != NULL
         && (virDomainAttachDeviceFlags (domain, xml, VIR_DOMAIN_AFFECT_LIVE) == 0 || usher_virt_failed (error, what));
}

gboolean
usher_virt_plug_data (UsherVirt *virt, const UsherDomainSpec *spec, GError **error)
{
  g_autofree char *xml = spec->data != NULL ? usher_domain_xml_data_disk (spec->data) : g_strdup ("");
  return plug (virt, spec->id, xml, "plugging the data disk", error);
}

gboolean
usher_virt_plug_network (UsherVirt *virt, const UsherDomainSpec *spec, GError **error)
{
  g_autofree char *xml = usher_domain_xml_network (spec);
  return plug (virt, spec->id, xml, "plugging the network card", error);
}

/* ---- looking ---- */

gboolean
usher_virt_cpu_time (UsherVirt *virt, const char *id, gint64 *out_ns, GError **error)
{
  virDomainInfo info;
  g_autoptr (virDomain) domain = usher_virt_lookup (virt, id, error);
  if (domain == NULL)
    return FALSE;
  if (virDomainGetInfo (domain, &info) < 0)
    return usher_virt_failed (error, "asking the domain's processor time");
  if (info.state == VIR_DOMAIN_SHUTOFF || info.state == VIR_DOMAIN_CRASHED)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_CONFLICT, "its domain has ended");
      return FALSE;
    }
  *out_ns = (gint64) info.cpuTime;
  return TRUE;
}

gboolean
usher_virt_qemu_version (UsherVirt *virt, gint64 *out, GError **error)
{
  unsigned long version = 0;
  g_autoptr (virConnect) connection = usher_virt_connect (virt, error);
  if (connection == NULL)
    return FALSE;
  if (virConnectGetVersion (connection, &version) < 0)
    return usher_virt_failed (error, "asking QEMU's version");
  *out = (gint64) version;
  return TRUE;
}
