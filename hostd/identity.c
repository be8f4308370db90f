#include "hostd/identity.h"

#include "common/error.h"
#include "common/json.h"

UsherHostIdentity *
usher_host_identity_read (const char *path, GError **error)
{
  g_autoptr (UsherHostIdentity) identity = g_new0 (UsherHostIdentity, 1);
  json_auto_t *json = usher_json_read_file (path, error);
  UsherJson at = { json, path };
  if (json == NULL || !usher_json_get_id (at, "host", identity->host, error)
      || !usher_json_dup_string (at, "deployment", &identity->deployment, error)
      || !usher_json_dup_string (at, "sync_url", &identity->sync_url, error))
    return NULL;
  return g_steal_pointer (&identity);
}

gboolean
usher_host_identity_write (const UsherHostIdentity *identity, const char *path, GError **error)
{
  json_auto_t *json = json_pack ("{s:s, s:s, s:s}", "host", identity->host, "deployment", identity->deployment, "sync_url",
                                 identity->sync_url);
  return usher_json_write_file (path, json, 0644, error);
}

void
usher_host_identity_free (UsherHostIdentity *identity)
{
  g_free (identity->deployment);
  g_free (identity->sync_url);
  g_free (identity);
}
