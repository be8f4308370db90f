/* A version's files: for administrators, and for the hosts that are to make desktops from them. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include "broker/api/api_private.h"
#include "broker/api/call_private.h"
#include "broker/api/handlers.h"
#include "broker/api/range.h"
#include "broker/images/folder.h"
#include "broker/store/audit.h"
#include "broker/store/versions.h"
#include "common/error.h"
#include "templates/manifest.h"

typedef struct {
  int fd;
  gint64 size;
  char *etag;
} Download;

static void
download_free (gpointer data)
{
  Download *download = data;
  if (download->fd >= 0)
    close (download->fd);
  g_free (download->etag);
  g_free (download);
}

static gboolean
refuse_range (UsherCall *call, gint64 size, GError **error)
{
  g_autofree char *whole = g_strdup_printf ("bytes */%" G_GINT64_FORMAT, size);
  usher_call_set_header (call, "Content-Range", whole);
  call->status = 416;
  g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "Range: the file has %" G_GINT64_FORMAT " bytes", size);
  return FALSE;
}

static gboolean
send (UsherCall *call, GError **error)
{
  Download *download = usher_call_get_data (call);
  const char *condition = usher_call_get_header (call, "If-Range"), *header = usher_call_get_header (call, "Range");
  gint64 offset = 0, length = 0;
  if (condition != NULL && g_strcmp0 (condition, download->etag) != 0)
    header = NULL;
  UsherRange range = usher_range_parse (header, download->size, &offset, &length);
  if (range == USHER_RANGE_OUTSIDE)
    return refuse_range (call, download->size, error);
  usher_call_set_header (call, "ETag", download->etag);
  usher_call_set_header (call, "Accept-Ranges", "bytes");
  if (range == USHER_RANGE_PART) {
    g_autofree char *part = g_strdup_printf ("bytes %" G_GINT64_FORMAT "-%" G_GINT64_FORMAT "/%" G_GINT64_FORMAT, offset,
                                             offset + length - 1, download->size);
    usher_call_set_header (call, "Content-Range", part);
  }
  int fd = download->fd;
  download->fd = -1;
  usher_call_stream (call, range == USHER_RANGE_PART ? 206 : 200, fd, offset, length);
  return TRUE;
}

static gboolean
open_file (UsherCall *call, Download *download, const char *template, gint64 version, const char *file, GError **error)
{
  const UsherImages *images = usher_image_service_get_images (call->api->parts.images);
  g_autofree char *path = usher_folder_version (images, template, version, file);
  download->fd = open (path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (download->fd < 0)
    return usher_folder_error (path, "cannot be opened", errno, error);
  if (usher_folder_length (path) == download->size)
    return TRUE;
  g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "%s: it has not the size that its record says", path);
  return FALSE;
}

static gboolean
audit_download (UsherCall *call, UsherStore *store, const char *template, gint64 version, const char *file, GError **error)
{
  UsherActor actor = usher_call_get_actor (call);
  g_autofree char *name = g_strdup_printf ("%s.%" G_GINT64_FORMAT, template, version);
  const UsherAuditLine line = { .action = "download", .outcome = "ok", .kind = "template-version", .object = name, .message = file };
  return usher_store_audit (store, &actor, &line, error);
}

static gboolean
find_step (UsherCall *call, UsherStore *store, GError **error)
{
  const char *template = usher_call_get_param (call, 0), *number = usher_call_get_param (call, 1), *file = usher_call_get_param (call, 2);
  gint64 version = 0;
  g_autofree char *sha256 = NULL;
  if (!usher_template_name_is_valid (template) || !g_ascii_string_to_signed (number, 10, 1, G_MAXINT32, &version, NULL)
      || (!usher_template_file_is_valid (file) && !g_str_equal (file, "manifest.json"))) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_MISSING, "there is no such file of a template version");
    return FALSE;
  }
  Download *download = g_new0 (Download, 1);
  download->fd = -1;
  usher_call_set_data (call, download, download_free);
  if (!usher_store_version_file (store, template, version, file, &download->size, &sha256, error)
      || !open_file (call, download, template, version, file, error))
    return FALSE;
  download->etag = g_strdup_printf ("\"%s\"", sha256);
  usher_call_set_next (call, send);
  return call->route->caller == USHER_CALLER_HOST || audit_download (call, store, template, version, file, error);
}

gboolean
usher_downloads_begin (UsherCall *call, GError **error)
{
  return usher_call_run_on (call, usher_image_service_get_pieces (call->api->parts.images), find_step, error);
}
