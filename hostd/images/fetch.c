#include "hostd/images/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <libsoup/soup.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "common/checksum.h"
#include "common/error.h"
#include "common/fault.h"
#include "common/json.h"
#include "hostd/images/incoming.h"

#define IMAGES_PATH "/host/v1/images"
#define CHUNK (256 * 1024)
#define PAUSE_US 100000 /* a pause for the rate is cut into such pieces, so that cancelling is soon heard */
#define SAID_MAX 2000   /* of an answer that is an error */
#define MIB (1024 * 1024)

struct _UsherFetch {
  gint references;
  UsherFetchGround *ground;
  UsherWantedVersion *version;
  gint64 size;
  GCancellable *cancellable;
  GMutex lock;
  gint64 received; /* guarded by `lock` */
};

/* One file on its way. */
typedef struct {
  UsherFetch *fetch;
  UsherLink *link;
  const UsherImageFile *file;
  char *path;
  int fd;
  gint64 at; /* bytes there */
  UsherChecksum *sum; /* of them */
} Coming;

/* ---- life ---- */

void
usher_fetch_ground_init (UsherFetchGround *ground, const UsherLinkConfig *link, UsherTemplateStore *store, gint64 rate,
                         gint64 reserve_bytes)
{
  ground->link = *link;
  ground->store = store;
  ground->reserve_bytes = reserve_bytes;
  g_mutex_init (&ground->lock);
  ground->bucket = usher_bucket_new (rate, g_get_monotonic_time ());
  ground->under_way = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
}

void
usher_fetch_ground_clear (UsherFetchGround *ground)
{
  g_clear_pointer (&ground->under_way, g_hash_table_unref);
  g_mutex_clear (&ground->lock);
}

gboolean
usher_fetch_is_under_way (UsherFetchGround *ground, const char *key)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&ground->lock);
  return g_hash_table_contains (ground->under_way, key);
}

UsherFetch *
usher_fetch_new (UsherFetchGround *ground, const UsherWantedVersion *version)
{
  UsherFetch *fetch = g_new0 (UsherFetch, 1);
  fetch->references = 1;
  fetch->ground = ground;
  fetch->version = usher_wanted_version_copy (version);
  fetch->size = usher_wanted_version_bytes (version);
  fetch->cancellable = g_cancellable_new ();
  g_mutex_init (&fetch->lock);
  return fetch;
}

UsherFetch *
usher_fetch_ref (UsherFetch *fetch)
{
  g_atomic_int_inc (&fetch->references);
  return fetch;
}

void
usher_fetch_unref (UsherFetch *fetch)
{
  if (!g_atomic_int_dec_and_test (&fetch->references))
    return;
  usher_wanted_version_free (fetch->version);
  g_object_unref (fetch->cancellable);
  g_mutex_clear (&fetch->lock);
  g_free (fetch);
}

const UsherWantedVersion *
usher_fetch_get_version (const UsherFetch *fetch)
{
  return fetch->version;
}

gint64
usher_fetch_received (UsherFetch *fetch)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&fetch->lock);
  return fetch->received;
}

static void
set_received (UsherFetch *fetch, gint64 received)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&fetch->lock);
  fetch->received = received;
}

gint64
usher_fetch_size (const UsherFetch *fetch)
{
  return fetch->size;
}

void
usher_fetch_cancel (UsherFetch *fetch)
{
  g_cancellable_cancel (fetch->cancellable);
}

/* ---- errors ---- */

static gboolean G_GNUC_PRINTF (3, 4)
fail (GError **error, UsherError code, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  GError *problem = g_error_new_valist (USHER_ERROR, code, format, arguments);
  va_end (arguments);
  g_propagate_error (error, problem);
  return FALSE;
}

static gboolean
cut (const Coming *coming, const char *why, GError **error)
{
  return fail (error, USHER_ERROR_UNAVAILABLE, "%s was cut after %" G_GINT64_FORMAT " of %" G_GINT64_FORMAT " bytes: %s",
               coming->file->name, coming->at, coming->file->size, why);
}

static gboolean
is_cancelled (const UsherFetch *fetch, GError **error)
{
  return g_cancellable_is_cancelled (fetch->cancellable) && !fail (error, USHER_ERROR_UNAVAILABLE, "not wanted any more");
}

/* ---- one file: what is there ---- */

/* Throws away what has come. */
static gboolean
begin_anew (Coming *coming, GError **error)
{
  if (ftruncate (coming->fd, 0) < 0)
    return usher_incoming_failed (error, coming->path);
  set_received (coming->fetch, usher_fetch_received (coming->fetch) - MIN (coming->at, coming->file->size));
  coming->at = 0;
  g_clear_pointer (&coming->sum, usher_checksum_free);
  coming->sum = usher_checksum_new ();
  return TRUE;
}

static gboolean
step (guint64 done, gpointer user_data, GError **error)
{
  return !is_cancelled (user_data, error);
}

/* Opens the file and takes up what an earlier try has left. */
static gboolean
take_up (Coming *coming, GError **error)
{
  struct stat found;
  coming->sum = usher_checksum_new ();
  coming->fd = open (coming->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (coming->fd < 0 || fstat (coming->fd, &found) < 0)
    return usher_incoming_failed (error, coming->path);
  coming->at = found.st_size;
  if (coming->at > coming->file->size)
    return begin_anew (coming, error);
  return usher_checksum_add_fd (coming->sum, coming->fd, (guint64) coming->at, step, coming->fetch, error);
}

/* ---- one file: the rest of it ---- */

/* Waits as long as the rate wants for `bytes`. */
static gboolean
pace (UsherFetch *fetch, gint64 bytes, GError **error)
{
  g_mutex_lock (&fetch->ground->lock);
  gint64 pause_us = usher_bucket_take (&fetch->ground->bucket, bytes, g_get_monotonic_time ());
  g_mutex_unlock (&fetch->ground->lock);
  for (; pause_us > 0 && !g_cancellable_is_cancelled (fetch->cancellable); pause_us -= PAUSE_US)
    g_usleep ((gulong) MIN (pause_us, PAUSE_US));
  return !is_cancelled (fetch, error);
}

static gboolean
is_zero (const guint8 *bytes, gsize length)
{
  return bytes[0] == 0 && memcmp (bytes, bytes + 1, length - 1) == 0;
}

/* Zeros are left out: a hole, which the next write or the end makes count. Cut before that, they just come again. */
static gboolean
keep (Coming *coming, const guint8 *bytes, gsize length, GError **error)
{
  for (gsize done = 0; !is_zero (bytes, length) && done < length;)
    {
      gssize written = pwrite (coming->fd, bytes + done, length - done, coming->at + (gint64) done);
      if (written < 0 && errno == EINTR)
        continue;
      if (written < 0)
        return usher_incoming_failed (error, coming->path);
      done += (gsize) written;
    }
  usher_checksum_add (coming->sum, bytes, length);
  coming->at += (gint64) length;
  set_received (coming->fetch, usher_fetch_received (coming->fetch) + (gint64) length);
  USHER_FAULT_POINT ("images.fetch.amid_file");
  return pace (coming->fetch, (gint64) length, error);
}

static gboolean
read_body (Coming *coming, GInputStream *body, GError **error)
{
  g_autofree guint8 *bytes = g_malloc (CHUNK);
  gsize length = 0;
  gboolean more = TRUE;
  while (more)
    {
      g_autoptr (GError) problem = NULL;
      more = usher_link_read (coming->link, body, bytes, CHUNK, &length, coming->fetch->cancellable, &problem) && length == CHUNK;
      if ((gint64) length > coming->file->size - coming->at)
        return begin_anew (coming, error)
               && fail (error, USHER_ERROR_INVALID, "%s is longer than the broker said; thrown away", coming->file->name);
      if (length > 0 && !keep (coming, bytes, length, error))
        return FALSE;
      if (problem != NULL)
        return is_cancelled (coming->fetch, error) ? FALSE : cut (coming, problem->message, error);
    }
  return coming->at == coming->file->size || cut (coming, "the answer ended", error);
}

/* An answer that is none of ours: says what the broker said. */
static gboolean
refused (Coming *coming, SoupMessage *message, GInputStream *body, GError **error)
{
  char said[SAID_MAX];
  gsize length = 0;
  guint status = soup_message_get_status (message);
  usher_link_read (coming->link, body, said, sizeof said, &length, coming->fetch->cancellable, NULL);
  json_auto_t *json = usher_json_parse (said, length, "the answer", NULL);
  const char *why = json_is_object (json) ? usher_json_string (json_object_get (json, "error"), "message") : "";
  return fail (error, status == SOUP_STATUS_NOT_FOUND ? USHER_ERROR_MISSING
                      : status == SOUP_STATUS_FORBIDDEN || status == SOUP_STATUS_UNAUTHORIZED ? USHER_ERROR_REFUSED
                                                                                              : USHER_ERROR_UNAVAILABLE,
               "the broker answers %u%s%s", status, *why != '\0' ? ": " : "", why);
}

/* Whether the answer is the part that was asked for; one with the whole file is good too. */
static gboolean
is_the_rest (Coming *coming, SoupMessage *message, GInputStream *body, GError **error)
{
  goffset start, end, total;
  if (soup_message_get_status (message) == SOUP_STATUS_OK)
    return coming->at == 0 || begin_anew (coming, error);
  if (soup_message_get_status (message) == SOUP_STATUS_REQUESTED_RANGE_NOT_SATISFIABLE && coming->at > 0)
    return begin_anew (coming, error)
           && fail (error, USHER_ERROR_UNAVAILABLE, "%s: the broker has it otherwise; begun anew", coming->file->name);
  if (soup_message_get_status (message) != SOUP_STATUS_PARTIAL_CONTENT)
    return refused (coming, message, body, error);
  if (soup_message_headers_get_content_range (soup_message_get_response_headers (message), &start, &end, &total)
      && start == coming->at)
    return TRUE;
  return begin_anew (coming, error)
         && fail (error, USHER_ERROR_UNAVAILABLE, "%s: the broker answers with another part than was asked for", coming->file->name);
}

static gboolean
ask (Coming *coming, GError **error)
{
  const UsherWantedVersion *version = coming->fetch->version;
  g_autofree char *path = g_strdup_printf (IMAGES_PATH "/%s/%" G_GINT64_FORMAT "/%s", version->template_name,
                                           version->template_version, coming->file->name);
  g_autoptr (GError) problem = NULL;
  g_autoptr (SoupMessage) message = usher_link_message (coming->link, SOUP_METHOD_GET, path);
  SoupMessageHeaders *headers = soup_message_get_request_headers (message);
  soup_message_headers_replace (headers, "Accept-Encoding", "identity"); /* offsets are those of the file */
  if (coming->at > 0)
    soup_message_headers_set_range (headers, coming->at, -1);
  g_autoptr (GInputStream) body = usher_link_send (coming->link, message, coming->fetch->cancellable, &problem);
  if (body == NULL)
    return is_cancelled (coming->fetch, error) ? FALSE : cut (coming, problem->message, error);
  return is_the_rest (coming, message, body, error) && read_body (coming, body, error);
}

/* ---- one file: its end ---- */

static gboolean
finish_file (Coming *coming, GError **error)
{
  char sum[USHER_CHECKSUM_SIZE];
  if (ftruncate (coming->fd, coming->file->size) < 0 || fsync (coming->fd) < 0)
    return usher_incoming_failed (error, coming->path);
  usher_checksum_end (coming->sum, sum);
  if (g_str_equal (sum, coming->file->sha256))
    return TRUE;
  return begin_anew (coming, error)
         && fail (error, USHER_ERROR_INVALID, "%s: what came has another SHA-256 than the broker said; thrown away",
                  coming->file->name);
}

static gboolean
fetch_file (UsherFetch *fetch, UsherLink *link, const char *dir, const UsherImageFile *file, GError **error)
{
  Coming coming = { .fetch = fetch, .link = link, .file = file, .path = g_build_filename (dir, file->name, NULL), .fd = -1 };
  gboolean done = take_up (&coming, error) && (coming.at == file->size || ask (&coming, error)) && finish_file (&coming, error);
  if (coming.fd >= 0)
    close (coming.fd);
  g_clear_pointer (&coming.sum, usher_checksum_free);
  g_free (coming.path);
  return done;
}

/* ---- the version ---- */

static gboolean
is_usable (const UsherFetch *fetch)
{
  g_autoptr (UsherTemplateFiles) files
      = usher_template_store_open (fetch->ground->store, fetch->version->template_name, fetch->version->template_version, NULL);
  return files != NULL;
}

/* Free bytes under `dir`, or what was asked for when that can't be found out: then writing will tell. */
static gint64
free_bytes (const char *dir, gint64 needed)
{
  struct statvfs found;
  return statvfs (dir, &found) < 0 ? needed : (gint64) ((guint64) found.f_bavail * found.f_frsize);
}

static gboolean
has_room (UsherFetch *fetch, UsherFetchMakeRoom make_room, gpointer user_data, GError **error)
{
  const char *dir = usher_template_store_get_dir (fetch->ground->store);
  gint64 missing = fetch->size - usher_fetch_received (fetch), needed = missing + fetch->ground->reserve_bytes;
  gint64 available = free_bytes (dir, needed);
  if (available < needed && make_room != NULL)
    {
      make_room (needed - available, user_data);
      available = free_bytes (dir, needed);
    }
  return available >= needed
         || fail (error, USHER_ERROR_EXHAUSTED,
                  "disk full: %" G_GINT64_FORMAT " MiB free in %s, %" G_GINT64_FORMAT " MiB are to come, and %" G_GINT64_FORMAT
                  " MiB are kept", available / MIB, dir, (missing + MIB - 1) / MIB, fetch->ground->reserve_bytes / MIB);
}

/* The manifest came with a good checksum; that it says what it should is another matter. */
static gboolean
check_whole (const UsherFetch *fetch, const char *dir, GError **error)
{
  g_autoptr (GError) problem = NULL;
  if (usher_template_dir_check (dir, fetch->version->template_name, fetch->version->template_version, &problem))
    return TRUE;
  usher_incoming_discard (dir, NULL);
  return fail (error, USHER_ERROR_INVALID, "%s; thrown away", problem->message);
}

/* The sums are known: the first clone need not read the disk for them. */
static void
note_sums (const UsherFetch *fetch)
{
  const UsherWantedVersion *version = fetch->version;
  g_autofree char *place = usher_incoming_dup_place (usher_template_store_get_dir (fetch->ground->store), version->template_name,
                                                     version->template_version);
  for (guint i = 0; i < version->files->len; i++)
    {
      const UsherImageFile *file = version->files->pdata[i];
      g_autofree char *path = g_build_filename (place, file->name, NULL);
      usher_template_store_note_sum (fetch->ground->store, path, file->sha256);
    }
}

static gboolean
fetch_all (UsherFetch *fetch, UsherLink *link, UsherFetchMakeRoom make_room, gpointer user_data, GError **error)
{
  const UsherWantedVersion *version = fetch->version;
  const char *store = usher_template_store_get_dir (fetch->ground->store);
  g_autofree char *dir = usher_incoming_dup_path (store, version->template_name, version->template_version);
  if (!usher_incoming_check_place (store, version->template_name, version->template_version, error)
      || !usher_incoming_open (store, version, error))
    return FALSE;
  USHER_FAULT_POINT ("images.fetch.after_dir");
  set_received (fetch, usher_incoming_received (store, version));
  if (!has_room (fetch, make_room, user_data, error))
    return FALSE;
  for (guint i = 0; i < version->files->len; i++)
    {
      if (!fetch_file (fetch, link, dir, version->files->pdata[i], error))
        return FALSE;
      USHER_FAULT_POINT ("images.fetch.after_file");
    }
  if (!check_whole (fetch, dir, error) || !usher_incoming_publish (store, version, error))
    return FALSE;
  note_sums (fetch);
  return TRUE;
}

gboolean
usher_fetch_run (UsherFetch *fetch, UsherLink *link, UsherFetchMakeRoom make_room, gpointer user_data, GError **error)
{
  UsherFetchGround *ground = fetch->ground;
  if (!usher_wanted_version_check (fetch->version, error) || is_cancelled (fetch, error))
    return FALSE;
  if (is_usable (fetch))
    return TRUE;
  g_autofree char *key = usher_version_key (fetch->version->template_name, fetch->version->template_version);
  g_mutex_lock (&ground->lock);
  gboolean ours = g_hash_table_add (ground->under_way, g_strdup (key));
  g_mutex_unlock (&ground->lock);
  if (!ours)
    return fail (error, USHER_ERROR_UNAVAILABLE, "%s is being written already", key);
  gboolean done = fetch_all (fetch, link, make_room, user_data, error);
  g_mutex_lock (&ground->lock);
  g_hash_table_remove (ground->under_way, key);
  g_mutex_unlock (&ground->lock);
  return done;
}
