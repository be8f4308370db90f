#include "broker/images/intake.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "broker/images/folder.h"
#include "broker/images/upload.h"
#include "broker/images/wish.h"
#include "common/checksum.h"
#include "common/error.h"
#include "common/fault.h"
#include "common/image/tool.h"
#include "common/json.h"

#define NUMBER_TRIES 5 /* of which a folder that no record speaks of takes one each */

typedef struct {
  const UsherImages *images;
  const UsherUpload *upload;
  json_t *reasons;
} Intake;

static gboolean G_GNUC_PRINTF (4, 5)
object (Intake *intake, GError **error, const char *rule, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  g_autofree char *message = g_strdup_vprintf (format, arguments);
  va_end (arguments);
  json_array_append_new (intake->reasons, json_pack ("{s:s, s:s}", "rule", rule, "message", message));
  if (error != NULL && *error == NULL)
    g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "%s", message);
  return FALSE;
}

/* ---- what came ---- */

static gboolean
sizes_are_right (Intake *intake, GError **error)
{
  gboolean good = TRUE;
  size_t i;
  json_t *one;
  g_autoptr (GError) first = NULL;
  json_array_foreach (intake->upload->files, i, one) {
    const char *file = usher_json_string (one, "file");
    g_autofree char *path = usher_folder_upload (intake->images, intake->upload->id, file);
    gint64 size = usher_json_int (one, "size"), length = usher_folder_length (path);
    if (length != size)
      good = object (intake, &first, "size", "%s: %" G_GINT64_FORMAT " of %" G_GINT64_FORMAT " bytes were received", file,
                     MAX (length, 0), size);
  }
  if (!good)
    g_propagate_error (error, g_steal_pointer (&first));
  return good;
}

/* The upload stays as it is: it can be finished with the next broker. */
static gboolean
may_go_on (guint64 done, gpointer user_data, GError **error)
{
  const UsherImages *images = user_data;
  if (images->ending == NULL || !g_cancellable_is_cancelled (images->ending))
    return TRUE;
  g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "the broker ends: finish it again");
  return FALSE;
}

/* A file that is not what was announced is of no use: it is emptied, to be sent again. */
static gboolean
checksum_is_right (Intake *intake, const json_t *one, int fd, const char *path, GError **error)
{
  const char *file = usher_json_string (one, "file");
  char sum[USHER_CHECKSUM_SIZE];
  g_autoptr (UsherChecksum) checksum = usher_checksum_new ();
  if (!usher_checksum_add_fd (checksum, fd, (guint64) usher_json_int (one, "size"), may_go_on, (gpointer) intake->images,
                              error))
    return FALSE;
  usher_checksum_end (checksum, sum);
  if (g_str_equal (sum, usher_json_string (one, "sha256")))
    return TRUE;
  object (intake, error, "checksum", "%s: its SHA-256 is %s, not the one announced: send it again", file, sum);
  if (truncate (path, 0) != 0)
    g_prefix_error (error, "%s cannot be emptied (%s); ", file, g_strerror (errno));
  return FALSE;
}

static gboolean
image_is_right (Intake *intake, const json_t *disk, int fd, GError **error)
{
  const char *file = usher_json_string (disk, "file");
  guint64 wanted = (guint64) usher_json_int (disk, "virtual_size"), length = 0, size = 0;
  UsherImageHead head;
  g_autoptr (GError) local = NULL;
  if (usher_image_head_read (fd, &head, &length, &local)) {
    if (head.format != USHER_IMAGE_QCOW2)
      return object (intake, error, "image", "%s: is %s, not qcow2", file, usher_image_format_name (head.format));
    if (head.snapshots > 0)
      return object (intake, error, "image", "%s: it keeps %u snapshots inside, which nobody would see", file, head.snapshots);
    if (head.virtual_size != wanted)
      return object (intake, error, "image", "%s: a guest sees %" G_GUINT64_FORMAT " bytes, the manifest says %" G_GUINT64_FORMAT, file,
                     head.virtual_size, wanted);
    if (usher_image_tool_info (fd, head.format, intake->images->ending, &size, &local)
        && usher_image_tool_check (fd, intake->images->ending, &local)) {
      if (size == wanted)
        return TRUE;
      return object (intake, error, "image", "%s: qemu-img sees %" G_GUINT64_FORMAT " bytes, the manifest says %" G_GUINT64_FORMAT, file,
                     size, wanted);
    }
  }
  if (!may_go_on (0, (gpointer) intake->images, error))
    return FALSE;
  UsherError code = usher_error_code (local);
  if (code == USHER_ERROR_INVALID || code == USHER_ERROR_REFUSED || code == USHER_ERROR_TOO_LARGE)
    json_array_append_new (intake->reasons, json_pack ("{s:s, s:s}", "rule", "image", "message", local->message));
  g_propagate_prefixed_error (error, g_steal_pointer (&local), "%s: ", file);
  return FALSE;
}

static gboolean
file_is_right (Intake *intake, const json_t *one, GError **error)
{
  const char *file = usher_json_string (one, "file");
  const json_t *disk = json_object_get (intake->upload->manifest, "disk");
  g_autofree char *path = usher_folder_upload (intake->images, intake->upload->id, file);
  gboolean is_disk = json_is_object (disk) && g_str_equal (usher_json_string (disk, "file"), file);
  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0)
    return usher_folder_error (path, "cannot be opened", errno, error);
  gboolean good = checksum_is_right (intake, one, fd, path, error) && (!is_disk || image_is_right (intake, disk, fd, error));
  close (fd);
  return good;
}

static gboolean
all_is_right (Intake *intake, GError **error)
{
  size_t i;
  json_t *one;
  if (!sizes_are_right (intake, error))
    return FALSE;
  json_array_foreach (intake->upload->files, i, one)
    if (!file_is_right (intake, one, error))
      return FALSE;
  return TRUE;
}

/* ---- to its place ---- */

gboolean
usher_images_is_placed (const UsherImages *images, const UsherUpload *upload)
{
  g_autofree char *source = usher_folder_upload (images, upload->id, NULL);
  g_autofree char *path = usher_folder_version (images, upload->template, upload->version, "manifest.json");
  g_autofree char *mine = usher_image_manifest_text (upload), *there = NULL;
  return upload->version != 0 && !g_file_test (source, G_FILE_TEST_EXISTS) && g_file_get_contents (path, &there, NULL, NULL)
         && g_str_equal (there, mine);
}

/* Read only, on the disk, and then in its place by one rename. */
static gboolean
place (const UsherImages *images, const UsherUpload *upload, GError **error)
{
  g_autofree char *from = usher_folder_upload (images, upload->id, NULL);
  g_autofree char *to = usher_folder_version (images, upload->template, upload->version, NULL);
  g_autofree char *manifest = usher_folder_upload (images, upload->id, "manifest.json"), *text = usher_image_manifest_text (upload);
  size_t i;
  json_t *one;
  if (!usher_folder_write (manifest, text, error))
    return FALSE;
  json_array_foreach (upload->files, i, one) {
    g_autofree char *path = usher_folder_upload (images, upload->id, usher_json_string (one, "file"));
    if (!usher_folder_sync (path, error))
      return FALSE;
    if (chmod (path, 0444) != 0)
      return usher_folder_error (path, "cannot be made read only", errno, error);
  }
  if (chmod (manifest, 0444) != 0 || chmod (from, 0755) != 0)
    return usher_folder_error (from, "cannot be made readable", errno, error);
  USHER_FAULT_POINT ("images.before-rename");
  return usher_folder_sync (from, error) && usher_folder_move (from, to, error);
}

/* A number whose folder is taken by something without a record is passed over. */
static gboolean
give_place (Intake *intake, UsherStore *store, UsherUpload *upload, GError **error)
{
  for (guint try = 0; try < NUMBER_TRIES; try++) {
    g_autoptr (GError) local = NULL;
    gint64 at_least = usher_folder_highest (intake->images, upload->template) + 1;
    if (upload->version == 0 && !usher_store_upload_number (store, upload->id, at_least, &upload->version, error))
      return FALSE;
    USHER_FAULT_POINT ("images.numbered");
    if (place (intake->images, upload, &local))
      return TRUE;
    if (!g_error_matches (local, USHER_ERROR, USHER_ERROR_CONFLICT)) {
      g_propagate_error (error, g_steal_pointer (&local));
      return FALSE;
    }
    upload->version = 0;
  }
  g_set_error (error, USHER_ERROR, USHER_ERROR_CONFLICT, "no free folder for a version of \"%s\": finish it again", upload->template);
  return FALSE;
}

static gboolean
take_in (Intake *intake, UsherStore *store, const UsherActor *actor, UsherUpload *upload, GError **error)
{
  if (!usher_images_is_placed (intake->images, upload)) {
    if (!all_is_right (intake, error))
      return FALSE;
    USHER_FAULT_POINT ("images.checked");
    if (!give_place (intake, store, upload, error))
      return FALSE;
  }
  USHER_FAULT_POINT ("images.placed");
  g_autofree char *text = usher_image_manifest_text (upload);
  json_auto_t *manifest = usher_json_parse (text, strlen (text), "manifest.json", error), *files = usher_image_files (upload, text);
  if (manifest == NULL || !usher_store_upload_finish (store, actor, upload, manifest, files, error))
    return FALSE;
  USHER_FAULT_POINT ("images.recorded");
  return usher_upload_remove (intake->images, upload->id, error);
}

gboolean
usher_images_take_in (const UsherImages *images, UsherStore *store, const UsherActor *actor, const char *id, char **out_template,
                      gint64 *out_version, json_t **out_reasons, GError **error)
{
  gboolean done = FALSE;
  json_auto_t *reasons = json_array ();
  if (!usher_store_upload_result (store, id, &done, out_template, out_version, error))
    return FALSE;
  if (done)
    return TRUE;
  int lock = usher_folder_lock (images, id, TRUE, error);
  if (lock < 0)
    return FALSE;
  g_autoptr (UsherUpload) upload = usher_store_upload_find (store, id, error);
  Intake intake = { images, upload, reasons };
  gboolean good = upload != NULL && take_in (&intake, store, actor, upload, error);
  close (lock);
  if (good) {
    *out_template = g_strdup (upload->template);
    *out_version = upload->version;
  } else if (json_array_size (reasons) > 0)
    *out_reasons = json_incref (reasons);
  return good;
}
