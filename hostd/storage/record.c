/* The record of a desktop as JSON: see desktop_dir.h. */
#include "hostd/storage/record.h"

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
  g_free (record);
}

json_t *
usher_desktop_record_to_json (const UsherDesktopRecord *record)
{
  return json_pack ("{s:s, s:s, s:I, s:I, s:I, s:b, s:s, s:I, s:I, s:I, s:I, s:s}", "name", record->name, "template",
                    record->template_name, "template_version", (json_int_t) record->template_version, "vcpus",
                    (json_int_t) record->vcpus, "ram_mib", (json_int_t) record->ram_mib, "has_disk", record->has_disk, "ready",
                    ready_names[record->ready], "ready_timeout_s", (json_int_t) record->ready_timeout_s, "starts",
                    (json_int_t) record->starts, "started_at", (json_int_t) record->started_at, "restart_revision",
                    (json_int_t) record->restart_revision, "reason", record->reason != NULL ? record->reason : "");
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
      || !usher_json_dup_string (at, "reason", &record->reason, error))
    return NULL;
  record->ready = ready;
  return g_steal_pointer (&record);
}
