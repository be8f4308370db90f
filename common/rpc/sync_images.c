/* What the sync says of template versions: those a host should have, those on their way, and parents of instant clones. */
#include "common/rpc/sync_private.h"

static const char *const parent_names[] = {
  [USHER_PARENT_BUILDING] = "building",
  [USHER_PARENT_READY] = "ready",
  [USHER_PARENT_FAILED] = "failed",
  [USHER_PARENT_UNABLE] = "unable",
};

const char *
usher_parent_state_name (UsherParentState state)
{
  return parent_names[state];
}

/* ---- life ---- */

void
usher_parent_key_free (UsherParentKey *key)
{
  g_free (key->template_name);
  g_free (key);
}

void
usher_seen_parent_free (UsherSeenParent *parent)
{
  g_free (parent->key.template_name);
  g_free (parent->reason);
  g_free (parent);
}

void
usher_seen_fetch_free (UsherSeenFetch *fetch)
{
  g_free (fetch->template_name);
  g_free (fetch->reason);
  g_free (fetch);
}

void
usher_image_file_free (UsherImageFile *file)
{
  g_free (file->name);
  g_free (file->sha256);
  g_free (file);
}

UsherWantedVersion *
usher_wanted_version_new (const char *template_name, gint64 template_version)
{
  UsherWantedVersion *version = g_new0 (UsherWantedVersion, 1);
  version->template_name = g_strdup (template_name);
  version->template_version = template_version;
  version->files = g_ptr_array_new_with_free_func ((GDestroyNotify) usher_image_file_free);
  return version;
}

void
usher_wanted_version_free (UsherWantedVersion *version)
{
  g_free (version->template_name);
  g_ptr_array_unref (version->files);
  g_free (version);
}

/* ---- writing ---- */

static const char *
text (const char *maybe)
{
  return maybe != NULL ? maybe : "";
}

static json_t *
version_to_json (const char *name, gint64 version)
{
  return json_pack ("{s:s, s:I}", "name", text (name), "version", (json_int_t) version);
}

static json_t *
key_to_json (const UsherParentKey *key)
{
  return json_pack ("{s:o, s:I, s:I}", "template", version_to_json (key->template_name, key->template_version), "vcpus",
                    (json_int_t) key->vcpus, "ram_mib", (json_int_t) key->ram_mib);
}

json_t *
usher_sync_parent_keys_to_json (const GPtrArray *keys)
{
  json_t *list = json_array ();
  for (guint i = 0; i < keys->len; i++)
    json_array_append_new (list, key_to_json (keys->pdata[i]));
  return list;
}

json_t *
usher_sync_parents_to_json (const GPtrArray *parents)
{
  json_t *list = json_array ();
  for (guint i = 0; i < parents->len; i++)
    {
      const UsherSeenParent *parent = parents->pdata[i];
      json_t *one = key_to_json (&parent->key);
      json_object_set_new (one, "state", json_string (parent_names[parent->state]));
      json_object_set_new (one, "reason", json_string (text (parent->reason)));
      json_array_append_new (list, one);
    }
  return list;
}

json_t *
usher_sync_fetches_to_json (const GPtrArray *fetches)
{
  json_t *list = json_array ();
  for (guint i = 0; i < fetches->len; i++)
    {
      const UsherSeenFetch *fetch = fetches->pdata[i];
      json_array_append_new (list, json_pack ("{s:o, s:I, s:I, s:s}", "template",
                                              version_to_json (fetch->template_name, fetch->template_version), "received",
                                              (json_int_t) fetch->received, "size", (json_int_t) fetch->size, "reason",
                                              text (fetch->reason)));
    }
  return list;
}

json_t *
usher_sync_versions_to_json (const GPtrArray *versions)
{
  json_t *list = json_array ();
  for (guint i = 0; i < versions->len; i++)
    {
      const UsherWantedVersion *version = versions->pdata[i];
      json_t *files = json_array (), *one = json_object ();
      for (guint j = 0; j < version->files->len; j++)
        {
          const UsherImageFile *file = version->files->pdata[j];
          json_array_append_new (files, json_pack ("{s:s, s:I, s:s}", "file", text (file->name), "size", (json_int_t) file->size,
                                                   "sha256", text (file->sha256)));
        }
      json_object_set_new (one, "template", version_to_json (version->template_name, version->template_version));
      json_object_set_new (one, "files", files);
      json_array_append_new (list, one);
    }
  return list;
}

/* ---- reading ---- */

static gboolean
read_count (UsherJson at, const char *key, gint64 *out, GError **error)
{
  return usher_json_get_int (at, key, 0, G_MAXINT64, out, error);
}

static gboolean
read_version (UsherJson at, char **out_name, gint64 *out_version, GError **error)
{
  UsherJson template = { NULL, "template" };
  return usher_json_get_object (at, "template", &template.object, error)
         && usher_json_dup_string (template, "name", out_name, error) && read_count (template, "version", out_version, error);
}

static gboolean
read_key (UsherJson at, UsherParentKey *key, GError **error)
{
  return read_version (at, &key->template_name, &key->template_version, error) && read_count (at, "vcpus", &key->vcpus, error)
         && read_count (at, "ram_mib", &key->ram_mib, error);
}

gboolean
usher_sync_read_parent_key (const json_t *json, const char *path, GPtrArray *into, GError **error)
{
  UsherParentKey *key = g_new0 (UsherParentKey, 1);
  g_ptr_array_add (into, key);
  return read_key ((UsherJson) { json, path }, key, error);
}

gboolean
usher_sync_read_parent (const json_t *json, const char *path, GPtrArray *into, GError **error)
{
  UsherJson at = { json, path };
  UsherSeenParent *parent = g_new0 (UsherSeenParent, 1);
  int state = 0;
  g_ptr_array_add (into, parent);
  if (!read_key (at, &parent->key, error)
      || !usher_json_get_name (at, "state", parent_names, G_N_ELEMENTS (parent_names), &state, error)
      || !usher_json_dup_string (at, "reason", &parent->reason, error))
    return FALSE;
  parent->state = state;
  return TRUE;
}

gboolean
usher_sync_read_fetch (const json_t *json, const char *path, GPtrArray *into, GError **error)
{
  UsherJson at = { json, path };
  UsherSeenFetch *fetch = g_new0 (UsherSeenFetch, 1);
  g_ptr_array_add (into, fetch);
  return read_version (at, &fetch->template_name, &fetch->template_version, error)
         && read_count (at, "received", &fetch->received, error) && read_count (at, "size", &fetch->size, error)
         && usher_json_dup_string (at, "reason", &fetch->reason, error);
}

static gboolean
read_file (const json_t *json, const char *path, GPtrArray *into, GError **error)
{
  UsherJson at = { json, path };
  UsherImageFile *file = g_new0 (UsherImageFile, 1);
  g_ptr_array_add (into, file);
  return usher_json_dup_string (at, "file", &file->name, error) && read_count (at, "size", &file->size, error)
         && usher_json_dup_string (at, "sha256", &file->sha256, error);
}

gboolean
usher_sync_read_version (const json_t *json, const char *path, GPtrArray *into, GError **error)
{
  UsherJson at = { json, path };
  UsherWantedVersion *version = usher_wanted_version_new (NULL, 0);
  g_ptr_array_add (into, version);
  return read_version (at, &version->template_name, &version->template_version, error)
         && usher_sync_read_list (at, "files", read_file, version->files, error);
}
