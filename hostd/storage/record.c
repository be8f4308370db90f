/* The record of a desktop as JSON: see desktop_dir.h. */
#include "hostd/storage/record.h"

#include "common/error.h"
#include "common/json.h"

static const char *const ready_names[] = { [USHER_TEMPLATE_READY_AGENT] = "agent", [USHER_TEMPLATE_READY_RUNNING] = "running" };

void
usher_desktop_record_free (UsherDesktopRecord *record)
{
  if (record == NULL)
    return;
  g_free (record->name);
  g_free (record->template_name);
  g_free (record->reason);
  g_free (record->clone_reason);
  g_free (record->user);
  g_free (record);
}

json_t *
usher_desktop_record_to_json (const UsherDesktopRecord *record)
{
  return json_pack ("{s:s, s:s, s:I, s:I, s:I, s:b, s:s, s:I, s:I, s:I, s:I, s:s, s:I, s:I, s:s, s:s, s:s, s:b}", "name", record->name, "template",
                    record->template_name, "template_version", (json_int_t) record->template_version, "vcpus",
                    (json_int_t) record->vcpus, "ram_mib", (json_int_t) record->ram_mib, "has_disk", record->has_disk, "ready",
                    ready_names[record->ready], "ready_timeout_s", (json_int_t) record->ready_timeout_s, "starts",
                    (json_int_t) record->starts, "started_at", (json_int_t) record->started_at, "restart_revision",
                    (json_int_t) record->restart_revision, "reason", record->reason != NULL ? record->reason : "",
                    "system_revision", (json_int_t) record->system_revision, "data_gib", (json_int_t) record->data_gib, "clone",
                    usher_clone_kind_name (record->clone), "clone_reason", record->clone_reason != NULL ? record->clone_reason : "",
                    "user", record->user != NULL ? record->user : "", "making", record->making);
}

/* What a hostd that made only linked clones did not write keeps its zero. */
static gboolean
read_later_members (UsherJson at, UsherDesktopRecord *record, GError **error)
{
  const char *clone = usher_clone_kind_name (USHER_CLONE_LINKED), *clone_reason = "", *user = "";
  if (!usher_json_find_int (at, "system_revision", 0, G_MAXINT64, &record->system_revision, error)
      || !usher_json_find_int (at, "data_gib", 0, G_MAXINT32, &record->data_gib, error)
      || !usher_json_find_string (at, "clone", &clone, error) || !usher_json_find_string (at, "clone_reason", &clone_reason, error)
      || !usher_json_find_string (at, "user", &user, error) || !usher_json_find_bool (at, "making", &record->making, error))
    return FALSE;
  if (!usher_clone_kind_parse (clone, &record->clone))
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "%s.clone: «%s» is no kind of clone", at.path, clone);
      return FALSE;
    }
  record->clone_reason = g_strdup (clone_reason);
  record->user = g_strdup (user);
  return TRUE;
}

UsherDesktopRecord *
usher_desktop_record_from_json (const json_t *json, const char *what, GError **error)
{
  UsherJson at = { json, what };
  g_autoptr (UsherDesktopRecord) record = g_new0 (UsherDesktopRecord, 1);
  int ready = 0;
  if (!usher_json_dup_string (at, "name", &record->name, error)
      || !usher_json_dup_string (at, "template", &record->template_name, error)
      || !usher_json_get_int (at, "template_version", 1, G_MAXINT32, &record->template_version, error)
      || !usher_json_get_int (at, "vcpus", 1, 1024, &record->vcpus, error)
      || !usher_json_get_int (at, "ram_mib", 1, G_MAXINT32, &record->ram_mib, error)
      || !usher_json_get_bool (at, "has_disk", &record->has_disk, error)
      || !usher_json_get_name (at, "ready", ready_names, G_N_ELEMENTS (ready_names), &ready, error)
      || !usher_json_get_int (at, "ready_timeout_s", 1, 3600, &record->ready_timeout_s, error)
      || !usher_json_get_int (at, "starts", 0, G_MAXINT64, &record->starts, error)
      || !usher_json_get_int (at, "started_at", 0, G_MAXINT64, &record->started_at, error)
      || !usher_json_get_int (at, "restart_revision", 0, G_MAXINT64, &record->restart_revision, error)
      || !usher_json_dup_string (at, "reason", &record->reason, error) || !read_later_members (at, record, error))
    return NULL;
  record->ready = ready;
  return g_steal_pointer (&record);
}
