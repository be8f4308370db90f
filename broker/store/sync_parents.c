#include "broker/store/sync_parents.h"

#include "common/json.h"
#include "policies/parents.h"

static char *
take_text (json_t *list)
{
  char *text = json_dumps (list, JSON_COMPACT);
  json_decref (list);
  return text;
}

char *
usher_sync_parents_text (const UsherSyncRequest *request)
{
  return take_text (usher_sync_parents_to_json (request->parents));
}

char *
usher_sync_fetches_text (const UsherSyncRequest *request)
{
  return take_text (usher_sync_fetches_to_json (request->fetches));
}

static UsherParentKey *
key_of (const UsherParentCandidate *candidate)
{
  UsherParentKey *key = g_new0 (UsherParentKey, 1);
  key->template_name = g_strdup (candidate->template_name);
  key->template_version = candidate->template_version;
  key->vcpus = candidate->vcpus;
  key->ram_mib = candidate->ram_mib;
  return key;
}

void
usher_sync_choose_parents (const json_t *candidates, gint64 memory_mib, GPtrArray *into)
{
  gsize n = json_array_size (candidates);
  g_autofree UsherParentCandidate *all = g_new0 (UsherParentCandidate, n);
  for (gsize i = 0; i < n; i++)
    {
      const json_t *one = json_array_get (candidates, i);
      all[i] = (UsherParentCandidate){ .template_name = usher_json_string (one, "template"),
                                       .template_version = usher_json_int (one, "version"),
                                       .vcpus = usher_json_int (one, "vcpus"),
                                       .ram_mib = usher_json_int (one, "ram_mib"),
                                       .wanted = usher_json_int (one, "wanted"),
                                       .making = json_is_true (json_object_get (one, "making")) };
    }
  gsize kept = usher_parents_choose (memory_mib, all, n);
  for (gsize i = 0; i < kept; i++)
    g_ptr_array_add (into, key_of (&all[i]));
}
