#include "common/rpc/sync.h"

#include <string.h>

#include "common/error.h"
#include "common/json.h"
#include "common/rpc/sync_private.h"

static const char *const seen_names[] = {
  [USHER_SEEN_ABSENT] = "absent", [USHER_SEEN_CREATING] = "creating", [USHER_SEEN_STARTING] = "starting",
  [USHER_SEEN_READY] = "ready",   [USHER_SEEN_STOPPED] = "stopped",   [USHER_SEEN_FAILED] = "failed",
  [USHER_SEEN_DELETING] = "deleting",
};
static const char *const wanted_names[] = {
  [USHER_WANTED_RUNNING] = "running", [USHER_WANTED_STOPPED] = "stopped", [USHER_WANTED_GONE] = "gone",
};

static const char *const clone_names[] = { [USHER_CLONE_LINKED] = "linked", [USHER_CLONE_INSTANT] = "instant" };

const char *
usher_clone_kind_name (UsherCloneKind kind)
{
  return clone_names[kind];
}

gboolean
usher_clone_kind_parse (const char *name, UsherCloneKind *out)
{
  for (guint i = 0; name != NULL && i < G_N_ELEMENTS (clone_names); i++)
    if (g_str_equal (name, clone_names[i]))
      {
        *out = i;
        return TRUE;
      }
  return FALSE;
}

const char *
usher_seen_state_name (UsherSeenState state)
{
  return seen_names[state];
}

const char *
usher_wanted_state_name (UsherWantedState state)
{
  return wanted_names[state];
}

/* What a message says for a text that was never set. */
static const char *
text (const char *maybe)
{
  return maybe != NULL ? maybe : "";
}

static gboolean
read_count (UsherJson at, const char *key, gint64 *out, GError **error)
{
  return usher_json_get_int (at, key, 0, G_MAXINT64, out, error);
}

/* Members that a daemon of an older version does not send keep their zero. */
static gboolean
has (UsherJson at, const char *key)
{
  return json_object_get (at.object, key) != NULL;
}

static gboolean
read_clone (UsherJson at, UsherCloneKind *out, GError **error)
{
  int kind = 0;
  if (has (at, "clone") && !usher_json_get_name (at, "clone", clone_names, G_N_ELEMENTS (clone_names), &kind, error))
    return FALSE;
  *out = kind;
  return TRUE;
}

/* ---- the request ---- */

UsherSyncRequest *
usher_sync_request_new (void)
{
  UsherSyncRequest *request = g_new0 (UsherSyncRequest, 1);
  request->desktops = g_ptr_array_new_with_free_func ((GDestroyNotify) usher_seen_desktop_free);
  request->parents = g_ptr_array_new_with_free_func ((GDestroyNotify) usher_seen_parent_free);
  request->fetches = g_ptr_array_new_with_free_func ((GDestroyNotify) usher_seen_fetch_free);
  return request;
}

void
usher_seen_desktop_free (UsherSeenDesktop *desktop)
{
  g_free (desktop->reason);
  g_free (desktop->clone_reason);
  g_free (desktop);
}

void
usher_sync_request_free (UsherSyncRequest *request)
{
  if (request == NULL)
    return;
  g_free (request->deployment);
  g_free (request->name);
  g_free (request->version);
  g_free (request->domain_type);
  g_free (request->door);
  g_strfreev (request->templates);
  g_ptr_array_unref (request->desktops);
  g_ptr_array_unref (request->parents);
  g_ptr_array_unref (request->fetches);
  g_free (request);
}

static json_t *
seen_to_json (const UsherSeenDesktop *seen)
{
  return json_pack ("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:s, s:s}", "id", seen->id, "state", seen_names[seen->state], "reason",
                    text (seen->reason), "console_revision", (json_int_t) seen->console_revision,
                    "restart_revision", (json_int_t) seen->restart_revision, "starts", (json_int_t) seen->starts,
                    "system_revision", (json_int_t) seen->system_revision, "clone", clone_names[seen->clone], "clone_reason",
                    text (seen->clone_reason));
}

json_t *
usher_sync_request_to_json (const UsherSyncRequest *request)
{
  json_t *templates = json_array (), *desktops = json_array ();
  for (gsize i = 0; request->templates != NULL && request->templates[i] != NULL; i++)
    json_array_append_new (templates, json_string (request->templates[i]));
  for (guint i = 0; i < request->desktops->len; i++)
    json_array_append_new (desktops, seen_to_json (request->desktops->pdata[i]));
  return json_pack ("{s:s, s:I, s:I, s:{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:o}, s:o, s:o, s:o}", "deployment", text (request->deployment),
                    "after", (json_int_t) request->after, "wait_s", (json_int_t) request->wait_s, "host", "name",
                    text (request->name), "version", text (request->version), "domain_type", text (request->domain_type), "door",
                    text (request->door), "cpus",
                    (json_int_t) request->cpus, "memory_mib", (json_int_t) request->memory_mib, "memory_free_mib",
                    (json_int_t) request->memory_free_mib, "disk_free_mib", (json_int_t) request->disk_free_mib,
                    "templates", templates, "desktops", desktops, "parents", usher_sync_parents_to_json (request->parents),
                    "fetches", usher_sync_fetches_to_json (request->fetches));
}

static gboolean
read_templates (UsherJson host, char ***out, GError **error)
{
  const json_t *list;
  if (!usher_json_get_array (host, "templates", &list, error))
    return FALSE;
  char **names = g_new0 (char *, json_array_size (list) + 1);
  for (gsize i = 0; i < json_array_size (list); i++)
    {
      const char *name = json_string_value (json_array_get (list, i));
      if (name == NULL)
        {
          g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "%s.templates[%" G_GSIZE_FORMAT "]: must be a string", host.path, i);
          g_strfreev (names);
          return FALSE;
        }
      names[i] = g_strdup (name);
    }
  *out = names;
  return TRUE;
}

static gboolean
read_host (const json_t *json, UsherSyncRequest *request, GError **error)
{
  UsherJson top = { json, "sync" }, at = { NULL, "sync.host" };
  return usher_json_get_object (top, "host", &at.object, error) && usher_json_dup_string (at, "name", &request->name, error)
         && usher_json_dup_string (at, "version", &request->version, error) && usher_json_dup_string (at, "domain_type", &request->domain_type, error)
         && usher_json_dup_string (at, "door", &request->door, error)
         && read_count (at, "cpus", &request->cpus, error) && read_count (at, "memory_mib", &request->memory_mib, error)
         && read_count (at, "memory_free_mib", &request->memory_free_mib, error)
         && read_count (at, "disk_free_mib", &request->disk_free_mib, error)
         && read_templates (at, &request->templates, error);
}

static gboolean
read_seen (const json_t *json, const char *path, GPtrArray *into, GError **error)
{
  UsherJson at = { json, path };
  UsherSeenDesktop *seen = g_new0 (UsherSeenDesktop, 1);
  const char *clone_reason = "";
  int state = 0;
  g_ptr_array_add (into, seen);
  if (!usher_json_get_id (at, "id", seen->id, error)
      || !usher_json_get_name (at, "state", seen_names, G_N_ELEMENTS (seen_names), &state, error)
      || !usher_json_dup_string (at, "reason", &seen->reason, error) || !read_count (at, "console_revision", &seen->console_revision, error)
      || !read_count (at, "restart_revision", &seen->restart_revision, error) || !read_count (at, "starts", &seen->starts, error)
      || !usher_json_find_int (at, "system_revision", 0, G_MAXINT64, &seen->system_revision, error)
      || !read_clone (at, &seen->clone, error) || !usher_json_find_string (at, "clone_reason", &clone_reason, error))
    return FALSE;
  seen->clone_reason = g_strdup (clone_reason);
  seen->state = state;
  return TRUE;
}

gboolean
usher_sync_read_list (UsherJson at, const char *key, UsherSyncReadOne read_one, GPtrArray *into, GError **error)
{
  const json_t *list;
  if (!usher_json_get_array (at, key, &list, error))
    return FALSE;
  for (gsize i = 0; i < json_array_size (list); i++)
    {
      g_autofree char *path = g_strdup_printf ("%s.%s[%" G_GSIZE_FORMAT "]", at.path, key, i);
      if (!read_one (json_array_get (list, i), path, into, error))
        return FALSE;
    }
  return TRUE;
}

UsherSyncRequest *
usher_sync_request_from_json (const json_t *json, GError **error)
{
  g_autoptr (UsherSyncRequest) request = usher_sync_request_new ();
  UsherJson at = { json, "sync" };
  if (!usher_json_dup_string (at, "deployment", &request->deployment, error) || !read_count (at, "after", &request->after, error)
      || !usher_json_get_int (at, "wait_s", 0, USHER_SYNC_WAIT_MAX_S, &request->wait_s, error)
      || !read_host (json, request, error) || !usher_sync_read_list (at, "desktops", read_seen, request->desktops, error)
      || (has (at, "parents") && !usher_sync_read_list (at, "parents", usher_sync_read_parent, request->parents, error))
      || (has (at, "fetches") && !usher_sync_read_list (at, "fetches", usher_sync_read_fetch, request->fetches, error)))
    return NULL;
  return g_steal_pointer (&request);
}

/* ---- the answer ---- */

UsherSyncAnswer *
usher_sync_answer_new (void)
{
  UsherSyncAnswer *answer = g_new0 (UsherSyncAnswer, 1);
  answer->desktops = g_ptr_array_new_with_free_func ((GDestroyNotify) usher_wanted_desktop_free);
  answer->versions = g_ptr_array_new_with_free_func ((GDestroyNotify) usher_wanted_version_free);
  answer->parents = g_ptr_array_new_with_free_func ((GDestroyNotify) usher_parent_key_free);
  return answer;
}

void
usher_wanted_desktop_free (UsherWantedDesktop *desktop)
{
  g_free (desktop->name);
  g_free (desktop->template_name);
  g_free (desktop->user);
  if (desktop->console_secret != NULL)
    explicit_bzero (desktop->console_secret, strlen (desktop->console_secret));
  g_free (desktop->console_secret);
  g_free (desktop);
}

void
usher_sync_answer_free (UsherSyncAnswer *answer)
{
  if (answer == NULL)
    return;
  g_free (answer->deployment);
  g_free (answer->host);
  g_ptr_array_unref (answer->desktops);
  g_ptr_array_unref (answer->versions);
  g_ptr_array_unref (answer->parents);
  g_free (answer);
}

static json_t *
wanted_to_json (const UsherWantedDesktop *wanted)
{
  json_t *json = json_pack ("{s:s, s:s, s:s, s:{s:s, s:I}, s:I, s:I, s:I, s:s, s:I, s:I}", "id", wanted->id, "name", text (wanted->name), "wanted",
                            wanted_names[wanted->wanted], "template", "name", text (wanted->template_name), "version",
                            (json_int_t) wanted->template_version, "vcpus", (json_int_t) wanted->vcpus, "ram_mib",
                            (json_int_t) wanted->ram_mib, "restart_revision", (json_int_t) wanted->restart_revision,
                            "clone", clone_names[wanted->clone], "system_revision", (json_int_t) wanted->system_revision, "data_gib",
                            (json_int_t) wanted->data_gib);
  json_object_set_new (json, "user", json_string (text (wanted->user)));
  if (wanted->console_secret != NULL)
    json_object_set_new (json, "console", json_pack ("{s:I, s:s, s:I}", "revision", (json_int_t) wanted->console_revision, "secret",
                                                     wanted->console_secret, "valid_until", (json_int_t) wanted->console_valid_until));
  return json;
}

json_t *
usher_sync_answer_to_json (const UsherSyncAnswer *answer)
{
  json_t *desktops = json_array ();
  for (guint i = 0; i < answer->desktops->len; i++)
    json_array_append_new (desktops, wanted_to_json (answer->desktops->pdata[i]));
  return json_pack ("{s:s, s:s, s:I, s:b, s:o, s:o, s:o}", "deployment", text (answer->deployment), "host", text (answer->host), "version",
                    (json_int_t) answer->version, "draining", answer->draining, "desktops", desktops, "versions",
                    usher_sync_versions_to_json (answer->versions), "parents", usher_sync_parent_keys_to_json (answer->parents));
}

static gboolean
read_console (UsherJson desktop, UsherWantedDesktop *wanted, GError **error)
{
  UsherJson at = { json_object_get (desktop.object, "console"), "console" };
  if (at.object == NULL || json_is_null (at.object))
    return TRUE;
  return read_count (at, "revision", &wanted->console_revision, error)
         && usher_json_dup_string (at, "secret", &wanted->console_secret, error)
         && read_count (at, "valid_until", &wanted->console_valid_until, error);
}

static gboolean
read_wanted (const json_t *json, const char *path, GPtrArray *into, GError **error)
{
  UsherJson at = { json, path }, template = { NULL, "template" };
  UsherWantedDesktop *wanted = g_new0 (UsherWantedDesktop, 1);
  const char *user = "";
  int state = 0;
  g_ptr_array_add (into, wanted);
  if (!usher_json_get_id (at, "id", wanted->id, error) || !usher_json_dup_string (at, "name", &wanted->name, error)
      || !usher_json_get_name (at, "wanted", wanted_names, G_N_ELEMENTS (wanted_names), &state, error)
      || !usher_json_get_object (at, "template", &template.object, error)
      || !usher_json_dup_string (template, "name", &wanted->template_name, error)
      || !read_count (template, "version", &wanted->template_version, error)
      || !read_count (at, "vcpus", &wanted->vcpus, error) || !read_count (at, "ram_mib", &wanted->ram_mib, error)
      || !read_count (at, "restart_revision", &wanted->restart_revision, error) || !read_console (at, wanted, error)
      || !read_clone (at, &wanted->clone, error)
      || !usher_json_find_int (at, "system_revision", 0, G_MAXINT64, &wanted->system_revision, error)
      || !usher_json_find_int (at, "data_gib", 0, G_MAXINT64, &wanted->data_gib, error)
      || !usher_json_find_string (at, "user", &user, error))
    return FALSE;
  wanted->wanted = state;
  wanted->user = g_strdup (user);
  return TRUE;
}

UsherSyncAnswer *
usher_sync_answer_from_json (const json_t *json, GError **error)
{
  g_autoptr (UsherSyncAnswer) answer = usher_sync_answer_new ();
  UsherJson at = { json, "sync" };
  if (!usher_json_dup_string (at, "deployment", &answer->deployment, error) || !usher_json_dup_string (at, "host", &answer->host, error)
      || !read_count (at, "version", &answer->version, error)
      || !usher_json_get_bool (at, "draining", &answer->draining, error)
      || !usher_sync_read_list (at, "desktops", read_wanted, answer->desktops, error)
      || (has (at, "versions") && !usher_sync_read_list (at, "versions", usher_sync_read_version, answer->versions, error))
      || (has (at, "parents") && !usher_sync_read_list (at, "parents", usher_sync_read_parent_key, answer->parents, error)))
    return NULL;
  return g_steal_pointer (&answer);
}
