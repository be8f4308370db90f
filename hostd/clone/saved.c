/* What of a frozen parent is on disk: its record, and how it is loaded again. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/json.h"
#include "common/log.h"
#include "hostd/clone/forkable.h"
#include "hostd/clone/parents_private.h"
#include "hostd/clone/ram.h"
#include "hostd/virt/hot.h"

#define RECORD "parent.json"

/* ---- the record ---- */

void
usher_parent_record_clear (UsherParentRecord *record)
{
  g_free (record->generation);
  g_free (record->layout);
  g_free (record->state_sum);
  g_free (record->disk_sum);
  g_free (record->ram_sum);
  *record = (UsherParentRecord) { 0 };
}

gboolean
usher_parent_record_write (const UsherParents *parents, const UsherParent *parent, const UsherParentRecord *record, GError **error)
{
  g_autofree char *path = usher_parents_dup_path (parents, parent->name, RECORD);
  json_auto_t *json = json_pack ("{s:s,s:s,s:s,s:s?,s:s}", "generation", record->generation, "layout", record->layout,
                                 "state_sha256", record->state_sum, "disk_sha256", record->disk_sum, "ram_sha256", record->ram_sum);
  return usher_json_write_file (path, json, 0600, error);
}

static gboolean
read_members (UsherJson at, UsherParentRecord *out, GError **error)
{
  const char *disk_sum = NULL;
  char generation[USHER_ID_SIZE];
  if (!usher_json_get_id (at, "generation", generation, error) || !usher_json_dup_string (at, "layout", &out->layout, error)
      || !usher_json_dup_string (at, "state_sha256", &out->state_sum, error)
      || !usher_json_find_string (at, "disk_sha256", &disk_sum, error)
      || !usher_json_dup_string (at, "ram_sha256", &out->ram_sum, error))
    return FALSE;
  out->generation = g_strdup (generation);
  out->disk_sum = g_strdup (disk_sum);
  return TRUE;
}

gboolean
usher_parent_record_read (const UsherParents *parents, const char *name, UsherParentRecord *out, GError **error)
{
  g_autofree char *path = usher_parents_dup_path (parents, name, RECORD);
  UsherParentRecord record = { 0 };
  json_auto_t *json = usher_json_read_file (path, error);
  if (json == NULL || !read_members ((UsherJson) { json, path }, &record, error))
    {
      usher_parent_record_clear (&record);
      g_prefix_error (error, "broken parent: ");
      return FALSE;
    }
  *out = record;
  return TRUE;
}

/* ---- what the state fits ---- */

char *
usher_parent_layout (const UsherParent *parent, GError **error)
{
  gint64 version;
  if (!usher_virt_qemu_version (parent->parents->virt, &version, error))
    return NULL;
  UsherDomainHot hot = { .parent = TRUE, .emulator = "", .socket = "", .ticket = "",
                         .elastic_mib = usher_clone_elastic_mib (parent->key.ram_mib) };
  UsherDomainSpec spec = usher_parent_spec (parent, &hot, "", "", "");
  g_autofree char *xml = usher_domain_xml (&spec);
  g_autofree char *text = g_strdup_printf ("%" G_GINT64_FORMAT "\n%s", version, xml);
  return g_compute_checksum_for_string (G_CHECKSUM_SHA256, text, -1);
}

gboolean
usher_parent_sum_file (const char *path, char out[USHER_CHECKSUM_SIZE], GError **error)
{
  struct stat found;
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return usher_parent_failed (error, path);
  g_autoptr (UsherChecksum) sum = usher_checksum_new ();
  gboolean done = fstat (fd, &found) == 0 || usher_parent_failed (error, path);
  done = done && usher_checksum_add_fd (sum, fd, (guint64) found.st_size, NULL, NULL, error);
  close (fd);
  if (done)
    usher_checksum_end (sum, out);
  return done;
}

/* ---- loading ---- */

static gboolean
broken (GError **error, const char *path, const char *why)
{
  g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "broken parent: %s: %s", path, why);
  return FALSE;
}

static gboolean
check_file (const char *path, const char *wanted, GError **error)
{
  char sum[USHER_CHECKSUM_SIZE];
  if (!g_file_test (path, G_FILE_TEST_EXISTS))
    return broken (error, path, "it is gone");
  if (!usher_parent_sum_file (path, sum, error))
    return FALSE;
  return g_str_equal (sum, wanted) || broken (error, path, "not what was saved (checksum)");
}

static gboolean
check (UsherParents *parents, const UsherParent *parent, const UsherParentRecord *record, GError **error)
{
  g_autofree char *state = usher_parents_dup_path (parents, parent->name, "state");
  g_autofree char *layout = usher_parent_layout (parent, error);
  if (layout == NULL)
    return FALSE;
  if (!g_str_equal (layout, record->layout))
    return broken (error, parent->name, "it was frozen as another virtual machine, or by another QEMU");
  if ((parent->base != NULL) != (record->disk_sum != NULL))
    return broken (error, parent->name, "with a disk or without");
  return check_file (state, record->state_sum, error)
         && (parent->base == NULL || check_file (parent->base, record->disk_sum, error));
}

static gboolean
load_ram (UsherParents *parents, UsherParent *parent, const UsherParentRecord *record, GError **error)
{
  g_autofree char *path = usher_parents_dup_path (parents, parent->name, "ram");
  int kept = usher_fd_store_take (parents->store, record->generation);
  if (kept >= 0 && usher_ram_is_golden (kept, parent->key.ram_mib))
    {
      parent->ram = kept;
      return TRUE;
    }
  if (kept >= 0)
    close (kept);
  parent->ram = usher_ram_load (parent->name, path, parent->key.ram_mib, record->ram_sum, error);
  if (parent->ram >= 0)
    usher_fd_store_put (parents->store, record->generation, parent->ram);
  return parent->ram >= 0;
}

static gboolean
load (UsherParents *parents, UsherParent *parent, GError **error)
{
  UsherParentRecord record = { 0 };
  if (!usher_parent_record_read (parents, parent->name, &record, error))
    return FALSE;
  parent->generation = g_strdup (record.generation);
  parent->base = parent->template->disk != NULL ? usher_parents_dup_base (parents, record.generation) : NULL;
  parent->loaded = check (parents, parent, &record, error) && load_ram (parents, parent, &record, error);
  usher_parent_record_clear (&record);
  return parent->loaded;
}

gboolean
usher_parents_load (UsherParents *parents, const UsherParentKey *key, GError **error)
{
  UsherParent *parent = usher_parent_new (parents, key, error);
  if (parent == NULL)
    return FALSE;
  if (!load (parents, parent, error))
    {
      usher_parent_free (parent);
      return FALSE;
    }
  usher_log (USHER_LOG_INFO, NULL, "parent %s is loaded", parent->name);
  usher_parents_keep (parents, parent);
  return TRUE;
}
