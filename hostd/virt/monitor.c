#include "hostd/virt/monitor.h"

#include <libvirt/libvirt-qemu.h>
#include <string.h>

#include "common/error.h"
#include "common/json.h"

/* What the answer returns, or its error. */
static json_t *
judge (const char *command, const char *answer, GError **error)
{
  json_auto_t *json = usher_json_parse (answer, strlen (answer), "QEMU's answer", error);
  if (json == NULL)
    return NULL;
  const json_t *problem = json_object_get (json, "error");
  if (problem == NULL)
    return json_incref (json_object_get (json, "return"));
  gboolean missing = g_str_equal (usher_json_string (problem, "class"), "DeviceNotFound");
  g_set_error (error, USHER_ERROR, missing ? USHER_ERROR_MISSING : USHER_ERROR_INTERNAL, "QEMU: %s: %s", command,
               usher_json_string (problem, "desc"));
  return NULL;
}

json_t *
usher_virt_monitor (virDomainPtr domain, const char *command, json_t *arguments, int fd, GError **error)
{
  json_auto_t *call = json_pack ("{s:s}", "execute", command);
  char *answer = NULL;
  if (arguments != NULL)
    json_object_set_new (call, "arguments", arguments);
  g_autofree char *line = usher_json_to_line (call);
  int done = fd < 0 ? virDomainQemuMonitorCommand (domain, line, &answer, VIR_DOMAIN_QEMU_MONITOR_COMMAND_DEFAULT)
                    : virDomainQemuMonitorCommandWithFiles (domain, line, 1, &fd, NULL, NULL, &answer,
                                                            VIR_DOMAIN_QEMU_MONITOR_COMMAND_DEFAULT);
  if (done < 0)
    {
      usher_virt_failed (error, command);
      return NULL;
    }
  json_t *result = judge (command, answer, error);
  free (answer);
  return result;
}

gboolean
usher_virt_monitor_do (virDomainPtr domain, const char *command, json_t *arguments, int fd, GError **error)
{
  json_auto_t *result = usher_virt_monitor (domain, command, arguments, fd, error);
  return result != NULL;
}
