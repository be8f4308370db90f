/* usherctl template export */
#include "common/checksum.h"
#include "common/error.h"
#include "common/fault.h"
#include "common/json.h"
#include "ctl/command.h"
#include "ctl/interrupt.h"
#include "ctl/template/patience.h"
#include "templates/manifest.h"
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MANIFEST "manifest.json"

typedef struct {
  UsherPatience patience;
  GCancellable *cancellable;
  char *source;          /* path of its files on the server, without the file */
  char *goal, *part;     /* of the file that is fetched */
  const char *name;
  guint64 size, have;
  int fd;
} Export;

static gboolean
fail_with_errno (const char *path, GError **error)
{
  int saved = errno;
  g_set_error (error, USHER_ERROR, saved == ENOSPC ? USHER_ERROR_EXHAUSTED : USHER_ERROR_INVALID, "%s: %s", path, g_strerror (saved));
  return FALSE;
}

static gboolean
take_piece (const guint8 *data, gsize length, gpointer user_data, GError **error)
{
  Export *export = user_data;

  if (export->have + length > export->size) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "%s: the server gives more than the %" G_GUINT64_FORMAT " bytes it has", export->name,
                 export->size);
    return FALSE;
  }
  for (gsize done = 0; done < length;) {
    gssize put = pwrite (export->fd, data + done, length - done, (off_t) (export->have + done));
    if (put < 0 && errno != EINTR)
      return fail_with_errno (export->part, error);
    done += put > 0 ? (gsize) put : 0;
  }
  USHER_FAULT_POINT ("ctl.export.piece");
  export->have += length;
  export->patience.tries = 0;
  usher_progress_at (export->patience.progress, export->have);
  return TRUE;
}

static gboolean
on_read (guint64 done, gpointer cancellable, GError **error)
{
  return !g_cancellable_set_error_if_cancelled (cancellable, error);
}

/* Whether the file behind `fd` is what the record says: FALSE without an error when it is not. */
static gboolean
is_right (Export *export, int fd, const char *sha256, GError **error)
{
  g_autoptr (UsherChecksum) checksum = usher_checksum_new ();
  char text[USHER_CHECKSUM_SIZE];

  if (!usher_checksum_add_fd (checksum, fd, export->size, on_read, export->cancellable, error))
    return FALSE;
  usher_checksum_end (checksum, text);
  return strcmp (text, sha256) == 0;
}

static gboolean
is_there (Export *export, const char *sha256, GError **error)
{
  int fd = open (export->goal, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  struct stat status;
  gboolean right = fd >= 0 && fstat (fd, &status) == 0 && S_ISREG (status.st_mode) && (guint64) status.st_size == export->size &&
                   is_right (export, fd, sha256, error);

  if (fd >= 0)
    close (fd);
  return right;
}

static gboolean
open_part (Export *export, GError **error)
{
  struct stat status;

  export->fd = open (export->part, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
  if (export->fd < 0 || fstat (export->fd, &status) != 0)
    return fail_with_errno (export->part, error);
  export->have = (guint64) status.st_size;
  if (export->have > export->size && ftruncate (export->fd, 0) == 0)
    export->have = 0;
  return TRUE;
}

/* What comes after what is there, as often as the line breaks. */
static gboolean
fetch_rest (Export *export, GError **error)
{
  g_autofree char *path = g_strconcat (export->source, "/", export->name, NULL);
  g_autoptr (UsherProgress) progress = usher_progress_new (export->name, export->have, export->size);
  gboolean done = TRUE;

  export->patience.progress = progress;
  if (export->have > 0 && export->have < export->size)
    usher_progress_say (progress, "%s: going on at byte %" G_GUINT64_FORMAT, export->name, export->have);
  while (done && export->have < export->size) {
    GError *problem = NULL;
    if (usher_client_download (export->patience.client, path, export->have, take_piece, export, &problem)) {
      if (export->have < export->size)
        g_set_error (&problem, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "%s: the server ended early", export->name);
      else
        break;
    }
    done = usher_patience_wait (&export->patience, 0, problem, error);
  }
  export->patience.progress = NULL;
  return done;
}

static gboolean
put_in_place (Export *export, GError **error)
{
  if (fsync (export->fd) != 0 || g_rename (export->part, export->goal) != 0)
    return fail_with_errno (export->goal, error);
  return TRUE;
}

/* A part from another time may be of another file: when the sum is wrong, once more from its beginning. */
static gboolean
fetch_file (Export *export, const char *sha256, GError **error)
{
  gboolean done = FALSE;

  if (!open_part (export, error))
    return FALSE;
  for (gboolean fresh = export->have == 0;; fresh = TRUE) {
    GError *problem = NULL;
    if (!fetch_rest (export, error))
      break;
    if (is_right (export, export->fd, sha256, &problem)) {
      done = put_in_place (export, error);
      break;
    }
    if (problem == NULL && fresh) {
      g_unlink (export->part);
      g_set_error (&problem, USHER_ERROR, USHER_ERROR_INVALID, "%s: what the server gave has another checksum than %s", export->name, sha256);
    }
    if (problem != NULL) {
      g_propagate_error (error, problem);
      break;
    }
    fprintf (stderr, "%s: what was there already was damaged: fetching all of it\n", export->name);
    export->have = 0;
    if (ftruncate (export->fd, 0) != 0) {
      fail_with_errno (export->part, error);
      break;
    }
  }
  close (export->fd);
  return done;
}

static gboolean
export_file (Export *export, const char *folder, const json_t *file, GError **error)
{
  const char *sha256 = usher_json_string (file, "sha256");
  g_autofree char *part_name = NULL;
  g_autoptr (GError) problem = NULL;
  gboolean done;

  export->name = usher_json_string (file, "file");
  export->size = (guint64) MAX (usher_json_int (file, "size"), 0);
  if (!usher_template_file_is_valid (export->name) && strcmp (export->name, MANIFEST) != 0) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "the server names a file «%s», which can't be one of a version", export->name);
    return FALSE;
  }
  part_name = g_strdup_printf (".%s.part", export->name);
  export->goal = g_build_filename (folder, export->name, NULL);
  export->part = g_build_filename (folder, part_name, NULL);
  done = is_there (export, sha256, &problem) || (problem == NULL && fetch_file (export, sha256, error));
  if (problem != NULL)
    g_propagate_error (error, g_steal_pointer (&problem));
  g_clear_pointer (&export->goal, g_free);
  g_clear_pointer (&export->part, g_free);
  return done;
}

/* The manifest goes last: a folder that has one is whole. */
static gboolean
export_files (Export *export, const char *folder, const json_t *files, GError **error)
{
  json_t *file;
  gsize i;

  for (guint turn = 0; turn < 2; turn++)
    json_array_foreach (files, i, file)
      if ((strcmp (usher_json_string (file, "file"), MANIFEST) == 0) == (turn == 1) && !export_file (export, folder, file, error))
        return FALSE;
  return TRUE;
}

gboolean
usher_ctl_template_export (UsherCtl *ctl, GError **error)
{
  const char *template = ctl->words[0], *version = ctl->words[1] + (*ctl->words[1] == 'v'), *folder = ctl->words[2];
  g_autofree char *name = g_strdup_printf ("%s.%s", template, version);
  g_autofree char *path = usher_client_path ("records", "template-version", name, NULL);
  g_autofree char *source = usher_client_path ("templates", template, "versions", version, "files", NULL);
  Export export = { .patience = { .client = ctl->client }, .cancellable = usher_interrupt_watch (), .source = source };
  g_auto (UsherAnswer) answer = { 0 };
  const json_t *files;

  usher_client_watch (ctl->client, export.cancellable, 0);
  if (!usher_patience_call (&export.patience, "GET", path, NULL, &answer, error))
    return FALSE;
  files = json_object_get (json_object_get (answer.body, "spec"), "files");
  if (json_array_size (files) == 0) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_MISSING, "the broker has no files of %s/%s", template, version);
    return FALSE;
  }
  if (g_mkdir_with_parents (folder, 0755) != 0)
    return fail_with_errno (folder, error);
  if (!export_files (&export, folder, files, error))
    return FALSE;
  printf ("%s/%s exported to %s\n", template, version, folder);
  return TRUE;
}
