#include "ctl/template/upload.h"
#include "common/error.h"
#include "common/fault.h"
#include "common/json.h"
#include "ctl/interrupt.h"
#include "ctl/template/patience.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Never more in one piece, whatever the server would take. */
#define CHUNK_MAX (8 * 1024 * 1024)
/* An upload that vanished meanwhile is begun again so often. */
#define BEGINNINGS 3
/* So long a broker may check what it got. */
#define FINISH_S (6 * 3600)

typedef struct {
  UsherPatience patience;
  const UsherBundle *bundle;
  json_t *body;   /* what begins it */
  char *id;       /* NULL: none is under way */
  gsize chunk;
  json_t *begun;  /* the answer to the beginning */
  gboolean refused; /* all of it came, and it is not taken: nothing to go on with */
} Upload;

static gboolean
odd_answer (const char *call, GError **error)
{
  g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "the answer to %s is not what an Usher broker says", call);
  return FALSE;
}

/* *out_version is greater than 0 when such a version is there already; else upload->id is one to go on with. */
static gboolean
begin (Upload *upload, gint64 *out_version, GError **error)
{
  g_autofree char *path = usher_client_path ("templates", upload->bundle->name, "uploads", NULL);
  g_auto (UsherAnswer) answer = { 0 };
  gint64 chunk;

  if (!usher_patience_call (&upload->patience, "POST", path, upload->body, &answer, error))
    return FALSE;
  *out_version = usher_json_int (answer.body, "version");
  if (*out_version > 0)
    return TRUE;
  chunk = usher_json_int (answer.body, "chunk_max");
  if (*usher_json_string (answer.body, "upload") == '\0' || chunk < 1)
    return odd_answer ("the beginning of an upload", error);
  g_free (upload->id);
  upload->id = g_strdup (usher_json_string (answer.body, "upload"));
  upload->chunk = (gsize) MIN (chunk, CHUNK_MAX);
  json_decref (upload->begun);
  upload->begun = json_incref (answer.body);
  return TRUE;
}

static guint64
received_of (const Upload *upload, const UsherBundleFile *file)
{
  json_t *one;
  gsize i;

  json_array_foreach (json_object_get (upload->begun, "files"), i, one)
    if (strcmp (usher_json_string (one, "file"), file->name) == 0)
      return MIN ((guint64) MAX (usher_json_int (one, "received"), 0), file->size);
  return 0;
}

static GBytes *
read_chunk (const UsherBundleFile *file, int fd, guint64 at, gsize most, GError **error)
{
  gsize length = (gsize) MIN (most, file->size - at), done = 0;
  g_autofree guint8 *data = g_malloc (length);

  while (done < length) {
    gssize got = pread (fd, data + done, length - done, (off_t) (at + done));
    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0) {
      g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "%s: %s", file->path, got < 0 ? g_strerror (errno) : "it became shorter meanwhile");
      return NULL;
    }
    done += (gsize) got;
  }
  return g_bytes_new_take (g_steal_pointer (&data), length);
}

/* Where the server wants the file to go on, out of a chunk's answer (a refusal has it among its reasons); -1: it doesn't say. */
static gint64
next_offset (const UsherAnswer *answer, guint64 size)
{
  json_t *reason;
  guint64 received = 0;
  gsize i;

  if (json_is_integer (json_object_get (answer->body, "received")))
    received = (guint64) MAX (usher_json_int (answer->body, "received"), 0);
  else
    json_array_foreach (json_object_get (json_object_get (answer->body, "error"), "reasons"), i, reason)
      if (strcmp (usher_json_string (reason, "rule"), "received") == 0 &&
          g_ascii_string_to_unsigned (usher_json_string (reason, "message"), 10, 0, size, &received, NULL))
        return (gint64) received;
  return received > 0 && received <= size ? (gint64) received : -1;
}

/* Sends what begins at *at and moves it; a server that has more or less than we thought says so. */
static gboolean
send_chunk (Upload *upload, const UsherBundleFile *file, int fd, guint64 *at, GError **error)
{
  g_autofree char *base = usher_client_path ("templates", "uploads", upload->id, file->name, NULL);
  g_autofree char *path = g_strdup_printf ("%s?offset=%" G_GUINT64_FORMAT, base, *at);
  g_autoptr (GBytes) bytes = read_chunk (file, fd, *at, upload->chunk, error);
  g_auto (UsherAnswer) answer = { 0 };
  GError *problem = NULL;
  gboolean sent;
  gint64 next;

  if (bytes == NULL)
    return FALSE;
  USHER_FAULT_POINT ("ctl.upload.chunk");
  sent = usher_client_put (upload->patience.client, path, bytes, &answer, &problem);
  next = sent || answer.status == 409 ? next_offset (&answer, file->size) : -1;
  if (next >= 0 && (guint64) next != *at) {
    g_clear_error (&problem);
    upload->patience.tries = 0;
    *at = (guint64) next;
    return TRUE;
  }
  if (sent)
    return odd_answer ("a chunk", error);
  return usher_patience_wait (&upload->patience, answer.retry_after_ms, problem, error);
}

static gboolean
send_file (Upload *upload, const UsherBundleFile *file, GError **error)
{
  guint64 at = received_of (upload, file);
  g_autoptr (UsherProgress) progress = at < file->size ? usher_progress_new (file->name, at, file->size) : NULL;
  int fd = open (file->path, O_RDONLY | O_CLOEXEC);
  gboolean done = TRUE;

  if (fd < 0) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "%s: %s", file->path, g_strerror (errno));
    return FALSE;
  }
  if (at > 0 && at < file->size)
    usher_progress_say (progress, "%s: going on at byte %" G_GUINT64_FORMAT, file->name, at);
  upload->patience.progress = progress;
  while (done && at < file->size) {
    done = send_chunk (upload, file, fd, &at, error);
    usher_progress_at (progress, at);
  }
  upload->patience.progress = NULL;
  close (fd);
  return done;
}

/* «Still at it, ask again» is no failure, however often it is said. */
static gboolean
ask_for_end (Upload *upload, const char *path, UsherAnswer *out_answer, GError **error)
{
  gint64 until_us = g_get_monotonic_time () + FINISH_S * (gint64) G_USEC_PER_SEC;

  while (TRUE) {
    GError *problem = NULL;
    guint wait_ms;
    if (usher_client_call (upload->patience.client, "POST", path, NULL, out_answer, &problem))
      return TRUE;
    wait_ms = out_answer->retry_after_ms;
    usher_answer_clear (out_answer);
    *out_answer = (UsherAnswer){ .status = out_answer->status };
    if (g_error_matches (problem, USHER_ERROR, USHER_ERROR_BUSY) && g_get_monotonic_time () < until_us) {
      g_error_free (problem);
      upload->patience.tries = 0;
      if (!usher_interrupt_sleep (MAX (wait_ms, 500), error))
        return FALSE;
    } else if (!usher_patience_wait (&upload->patience, wait_ms, problem, error)) {
      return FALSE;
    }
  }
}

/* A broker that was finished by the time it is asked again has no such upload any more: then its beginning tells the version. */
static gboolean
finish (Upload *upload, gint64 *out_version, GError **error)
{
  g_autofree char *path = usher_client_path ("templates", "uploads", upload->id, "finish", NULL);
  g_auto (UsherAnswer) answer = { 0 };

  fprintf (stderr, "the broker checks it\n");
  USHER_FAULT_POINT ("ctl.upload.finish");
  if (!ask_for_end (upload, path, &answer, error)) {
    upload->refused = answer.status == 400 || answer.status == 403 || answer.status == 413;
    return FALSE;
  }
  *out_version = usher_json_int (answer.body, "version");
  return *out_version > 0 || odd_answer ("the end of an upload", error);
}

static gboolean
send_all (Upload *upload, gint64 *out_version, GError **error)
{
  for (guint i = 0; i < upload->bundle->files->len; i++)
    if (!send_file (upload, upload->bundle->files->pdata[i], error))
      return FALSE;
  return finish (upload, out_version, error);
}

static gboolean
run (Upload *upload, UsherUploaded *out, GError **error)
{
  gint64 version = 0;

  for (guint beginning = 1;; beginning++) {
    GError *problem = NULL;
    if (!begin (upload, &version, error))
      return FALSE;
    if (version > 0) {
      *out = (UsherUploaded){ .version = version, .was_there = beginning == 1 };
      return TRUE;
    }
    if (send_all (upload, &version, &problem)) {
      *out = (UsherUploaded){ .version = version };
      return TRUE;
    }
    if (!g_error_matches (problem, USHER_ERROR, USHER_ERROR_MISSING) || beginning == BEGINNINGS) {
      g_propagate_error (error, problem);
      return FALSE;
    }
    g_error_free (problem);
    g_clear_pointer (&upload->id, g_free);
  }
}

static void
forget (Upload *upload)
{
  g_autofree char *path = usher_client_path ("templates", "uploads", upload->id, NULL);
  g_auto (UsherAnswer) answer = { 0 };

  usher_client_watch (upload->patience.client, NULL, 10); /* also after Ctrl-C */
  usher_client_call (upload->patience.client, "DELETE", path, NULL, &answer, NULL);
}

gboolean
usher_upload (UsherClient *client, const UsherBundle *bundle, const char *note, gboolean keep, UsherUploaded *out, GError **error)
{
  Upload upload = { .patience = { .client = client }, .bundle = bundle };
  gboolean done;

  if (note == NULL)
    note = bundle->note != NULL ? bundle->note : "";
  upload.body = json_pack ("{s:O, s:o, s:s}", "manifest", bundle->manifest, "files", usher_bundle_files (bundle), "note", note);
  if (upload.body == NULL) {
    g_set_error_literal (error, USHER_ERROR, USHER_ERROR_INVALID, "the note is not UTF-8 text");
    return FALSE;
  }
  done = run (&upload, out, error);
  if (!done && upload.id != NULL && (!keep || upload.refused))
    forget (&upload);
  json_decref (upload.body);
  json_decref (upload.begun);
  g_free (upload.id);
  return done;
}
