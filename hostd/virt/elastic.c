#include "hostd/virt/elastic.h"

#include "common/error.h"
#include "hostd/virt/monitor.h"

#define DEVICE "/machine/peripheral/vmem0"
#define BACKEND "/objects/elastic"
#define MIB (1024 * 1024)
#define BLOCK_MIB 2

/* A property that counts bytes, in MiB. */
static gboolean
get_mib (virDomainPtr domain, const char *path, const char *property, gint64 *out, GError **error)
{
  json_t *arguments = json_pack ("{s:s,s:s}", "path", path, "property", property);
  json_auto_t *value = usher_virt_monitor (domain, "qom-get", arguments, -1, error);
  if (value == NULL)
    return FALSE;
  *out = json_integer_value (value) / MIB;
  return TRUE;
}

static gboolean
read_all (virDomainPtr domain, UsherElastic *out, GError **error)
{
  g_autoptr (GError) problem = NULL;
  UsherElastic found = { 0 };
  if (get_mib (domain, DEVICE, "requested-size", &found.requested_mib, &problem)
      && get_mib (domain, DEVICE, "size", &found.actual_mib, &problem) && get_mib (domain, BACKEND, "size", &found.maximum_mib, &problem))
    {
      *out = found;
      return TRUE;
    }
  if (g_error_matches (problem, USHER_ERROR, USHER_ERROR_MISSING))
    g_set_error (error, USHER_ERROR, USHER_ERROR_MISSING, "this desktop has no elastic memory");
  else
    g_propagate_error (error, g_steal_pointer (&problem));
  return FALSE;
}

gboolean
usher_virt_get_elastic (UsherVirt *virt, const char *id, UsherElastic *out, GError **error)
{
  g_autoptr (virDomain) domain = usher_virt_lookup (virt, id, error);
  return domain != NULL && read_all (domain, out, error);
}

gboolean
usher_virt_set_elastic (UsherVirt *virt, const char *id, gint64 requested_mib, GError **error)
{
  UsherElastic now;
  g_autoptr (virDomain) domain = usher_virt_lookup (virt, id, error);
  if (domain == NULL || !read_all (domain, &now, error))
    return FALSE;
  if (requested_mib < 0 || requested_mib > now.maximum_mib)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID,
                   "%" G_GINT64_FORMAT " MiB of elastic memory: this desktop takes 0 to %" G_GINT64_FORMAT, requested_mib, now.maximum_mib);
      return FALSE;
    }
  json_int_t bytes = (json_int_t) (requested_mib / BLOCK_MIB * BLOCK_MIB) * MIB;
  json_t *arguments = json_pack ("{s:s,s:s,s:I}", "path", DEVICE, "property", "requested-size", "value", bytes);
  return usher_virt_monitor_do (domain, "qom-set", arguments, -1, error);
}
