#include "ctl/template/image.h"
#include "common/error.h"
#include "common/image/tool.h"
#include "ctl/progress.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB (G_GUINT64_CONSTANT (1) << 20)
#define GIB (G_GUINT64_CONSTANT (1) << 30)
#define VIRTUAL_MAX (4096 * GIB)

gboolean
usher_image_name_is_odd (const char *path)
{
  const char *c = path;

  while (g_ascii_isalnum (*c) || (*c != '\0' && strchr ("+.-_", *c) != NULL))
    c++;
  return c > path && *c == ':';
}

static int
open_image (const char *path, GError **error)
{
  int fd;

  if (usher_image_name_is_odd (path)) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_REFUSED, "%s: that is no file to QEMU but a protocol; files only (write ./ before such a name)", path);
    return -1;
  }
  fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0)
    g_set_error (error, USHER_ERROR, errno == ENOENT ? USHER_ERROR_MISSING : USHER_ERROR_INVALID, "%s: %s", path, g_strerror (errno));
  return fd;
}

/* The folder that the child may write in, and nothing else of ours. */
static char *
make_outbox (const char *folder, GError **error)
{
  g_autofree char *path = g_build_filename (folder, "out", NULL);

  if (mkdir (path, 0700) == 0 && (geteuid () != 0 || chown (path, USHER_CONFINE_UID, USHER_CONFINE_GID) == 0))
    return g_steal_pointer (&path);
  g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "%s: %s", path, g_strerror (errno));
  return NULL;
}

static void
on_step (double percent, gpointer progress)
{
  usher_progress_at (progress, (guint64) (percent * 100));
}

static gboolean
convert (int fd, UsherImageFormat format, guint64 virtual_size, const char *target, GCancellable *cancellable, GError **error)
{
  const char *words[] = { "qemu-img", "convert", "-p", "-c", "-f", usher_image_format_name (format), "-O", "qcow2", "-o", "compression_type=zstd",
                          USHER_IMAGE_TOOL_FILE, target, NULL };
  guint gib = (guint) (virtual_size / GIB) + 1;
  UsherConfineLimits limits = { .cpu_s = 300 + 90 * gib, .time_s = 600 + 120 * gib, .memory = 4 * GIB,
                                .file_size = virtual_size + virtual_size / 8 + 64 * MIB };
  g_autoptr (UsherProgress) progress = usher_progress_new_percent ("converting");

  return usher_image_tool_run (words, fd, &limits, cancellable, on_step, progress, NULL, error);
}

/* What the child made is looked at like any other image before it is taken over. */
static gboolean
take_over (const char *made, const char *folder, guint64 virtual_size, GCancellable *cancellable, gint64 *out_virtual_size, GError **error)
{
  g_autofree char *goal = g_build_filename (folder, "disk.qcow2", NULL);
  int fd = open (made, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  UsherImageHead head = { 0 };
  guint64 size = 0;
  gboolean done = fd >= 0 && usher_image_head_read (fd, &head, &size, error);

  if (fd < 0)
    g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "%s: %s", made, g_strerror (errno));
  done = done && usher_image_tool_check (fd, cancellable, error);
  if (done && (head.format != USHER_IMAGE_QCOW2 || head.virtual_size < virtual_size || head.virtual_size % 512 != 0 ||
               fchown (fd, geteuid (), getegid ()) != 0 || rename (made, goal) != 0)) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_INTERNAL, "qemu-img made something else than a plain qcow2");
    done = FALSE;
  }
  if (fd >= 0)
    close (fd);
  *out_virtual_size = (gint64) head.virtual_size;
  return done;
}

static gboolean
look (int fd, gboolean bootable, GCancellable *cancellable, UsherImageHead *out_head, guint64 *out_virtual_size, GError **error)
{
  guint64 size;

  if (!usher_image_head_read (fd, out_head, &size, error) ||
      !usher_image_tool_info (fd, out_head->format, cancellable, out_virtual_size, error) ||
      (out_head->format == USHER_IMAGE_QCOW2 && !usher_image_tool_check (fd, cancellable, error)))
    return FALSE;
  if (*out_virtual_size == 0 || *out_virtual_size > VIRTUAL_MAX) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_TOO_LARGE, "its disk has %" G_GUINT64_FORMAT " bytes; 1 to %" G_GUINT64_FORMAT " are taken",
                 *out_virtual_size, VIRTUAL_MAX);
    return FALSE;
  }
  if (bootable && out_head->format == USHER_IMAGE_RAW && !out_head->has_boot_record) {
    g_set_error_literal (error, USHER_ERROR, USHER_ERROR_INVALID,
                         "it is no disk image that is known here, nor a raw one that firmware could boot (no boot record); "
                         "for a file system alone give --kernel, --initrd and --cmdline");
    return FALSE;
  }
  if (out_head->snapshots > 0)
    fprintf (stderr, "its %u internal snapshots are left out\n", out_head->snapshots);
  return TRUE;
}

gboolean
usher_image_take_in (const char *path, const char *folder, gboolean bootable, GCancellable *cancellable, gint64 *out_virtual_size,
                     GError **error)
{
  g_autofree char *outbox = NULL, *made = NULL;
  UsherImageHead head;
  guint64 virtual_size = 0;
  gboolean done;
  int fd = open_image (path, error);

  if (fd < 0)
    return FALSE;
  done = look (fd, bootable, cancellable, &head, &virtual_size, error);
  if (done) {
    g_autofree char *size = usher_progress_size (virtual_size);
    fprintf (stderr, "%s: %s, a disk of %s\n", path, usher_image_format_name (head.format), size);
    outbox = make_outbox (folder, error);
    made = outbox != NULL ? g_build_filename (outbox, "disk.qcow2", NULL) : NULL;
    done = made != NULL && convert (fd, head.format, virtual_size, made, cancellable, error) &&
           take_over (made, folder, virtual_size, cancellable, out_virtual_size, error);
  }
  close (fd);
  if (!done)
    g_prefix_error (error, "%s: ", path);
  return done;
}
