/* Freezing a parent: from a running domain to sealed RAM, a state file and a disk that nobody writes to any more. */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fault.h"
#include "common/log.h"
#include "hostd/clone/parents_private.h"
#include "hostd/clone/ram.h"
#include "hostd/virt/agent.h"
#include "hostd/virt/hot.h"

#define STATE_TIMEOUT_MS (60 * 1000)
#define SYNC_TIMEOUT_MS (20 * 1000)

/* A fork that starts cold one day has of the parent only what is on its disk. A guest without that program loses at
 * most what any guest loses when it is switched off. */
static void
flush_guest (UsherParents *parents, const UsherParent *parent)
{
  g_autoptr (GError) problem = NULL;
  if (!usher_virt_agent_run (parents->virt, parent->id, "/bin/sync", "", SYNC_TIMEOUT_MS, &problem))
    usher_log (USHER_LOG_DEBUG, NULL, "parent %s: %s", parent->name, problem->message);
}

static gboolean
write_state (UsherParents *parents, const UsherParent *parent, char out[USHER_CHECKSUM_SIZE], GError **error)
{
  g_autofree char *path = usher_parents_dup_path (parents, parent->name, "state");
  int fd = open (path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0)
    return usher_parent_failed (error, path);
  gboolean done = usher_virt_state_out (parents->virt, parent->id, fd, STATE_TIMEOUT_MS, error)
                  && (fsync (fd) == 0 || usher_parent_failed (error, path));
  close (fd);
  return done && usher_parent_sum_file (path, out, error);
}

/* The disk goes where it may outlive the parent, and belongs to root. */
static gboolean
freeze_disk (UsherParents *parents, const UsherParent *parent, char out[USHER_CHECKSUM_SIZE], GError **error)
{
  g_autofree char *disk = usher_parents_dup_path (parents, parent->name, "disk.qcow2");
  if (chown (disk, geteuid (), getegid ()) < 0 || chmod (disk, 0444) < 0)
    return usher_parent_failed (error, disk);
  if (!usher_parent_flush (disk, error) || !usher_parent_sum_file (disk, out, error))
    return FALSE;
  if (rename (disk, parent->base) < 0)
    return usher_parent_failed (error, parent->base);
  return usher_parent_flush (parents->bases, error);
}

/* State out, domain gone, RAM sealed. */
static gboolean
stop (UsherParents *parents, UsherParent *parent, char state_sum[USHER_CHECKSUM_SIZE], GError **error)
{
  flush_guest (parents, parent);
  if (!usher_virt_suspend (parents->virt, parent->id, error))
    return FALSE;
  USHER_FAULT_POINT ("clone.parent.suspended");
  if (!write_state (parents, parent, state_sum, error))
    return FALSE;
  USHER_FAULT_POINT ("clone.parent.state_out");
  if (!usher_virt_destroy (parents->virt, parent->id, error))
    return FALSE;
  USHER_FAULT_POINT ("clone.parent.destroyed");
  return usher_ram_seal (parent->ram, error);
}

static gboolean
save (UsherParents *parents, UsherParent *parent, UsherParentRecord *record, GError **error)
{
  char disk_sum[USHER_CHECKSUM_SIZE], ram_sum[USHER_CHECKSUM_SIZE];
  g_autofree char *ram = usher_parents_dup_path (parents, parent->name, "ram");
  g_autofree char *dir = usher_parents_dup_path (parents, parent->name, NULL);
  if (!usher_ram_save (parent->ram, ram, ram_sum, error))
    return FALSE;
  record->ram_sum = ram_sum;
  USHER_FAULT_POINT ("clone.parent.saved");
  if (parent->base != NULL && !freeze_disk (parents, parent, disk_sum, error))
    return FALSE;
  record->disk_sum = parent->base != NULL ? disk_sum : NULL;
  USHER_FAULT_POINT ("clone.parent.based");
  return usher_parent_record_write (parents, parent, record, error) && usher_parent_flush (dir, error);
}

static gboolean
freeze (UsherParents *parents, UsherParent *parent, GError **error)
{
  char state_sum[USHER_CHECKSUM_SIZE];
  g_autofree char *layout = usher_parent_layout (parent, error);
  if (layout == NULL || !stop (parents, parent, state_sum, error))
    return FALSE;
  g_mutex_lock (&parents->lock);
  parent->generation = usher_id_new ();
  parent->base = parent->template->disk != NULL ? usher_parents_dup_base (parents, parent->generation) : NULL;
  g_mutex_unlock (&parents->lock);
  UsherParentRecord record = { .generation = parent->generation, .layout = layout, .state_sum = state_sum };
  if (!save (parents, parent, &record, error))
    return FALSE;
  USHER_FAULT_POINT ("clone.parent.frozen");
  usher_fd_store_put (parents->store, parent->generation, parent->ram);
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&parents->lock);
  parent->loaded = TRUE;
  return TRUE;
}

gboolean
usher_parents_freeze (UsherParents *parents, const UsherParentKey *key, GError **error)
{
  gint64 begun_us = g_get_monotonic_time ();
  UsherParent *parent = usher_parents_find_begun (parents, key, error);
  if (parent == NULL || !freeze (parents, parent, error))
    return FALSE;
  usher_log (USHER_LOG_INFO, NULL, "parent %s is frozen (%" G_GINT64_FORMAT " ms)", parent->name,
             (g_get_monotonic_time () - begun_us) / 1000);
  return TRUE;
}
