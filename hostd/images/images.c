#include "hostd/images/images.h"

#include "common/error.h"
#include "common/log.h"
#include "common/workers.h"
#include "hostd/images/fetch.h"
#include "hostd/images/sweep.h"

#define FETCHES 2             /* at a time */
#define PROGRESS_MS 1000      /* how often what has come is looked at */
#define SWEEP_EVERY_MAX_S 60
#define SILENCE_S 30          /* a connection on which nothing comes for so long is given up */
#define BACKOFF_MAX_MS 60000
#define TRIES_UNSAID 3        /* failures in a row that may be a passing cut */
#define MIB (1024 * 1024)

/* A version that is wanted and not here. */
typedef struct {
  UsherImages *images;
  char *key;
  UsherFetch *fetch;
  gboolean busy;     /* with a worker */
  gboolean dropped;  /* not in the table any more: free it when it is back */
  guint failures;
  gint64 retry_at;   /* monotonic ms */
  char *reason;      /* of the last failure; NULL: none */
  gboolean passing;  /* that may have been a cut */
  gint64 reported;   /* bytes, as last looked at */
} Version;

struct _UsherImages {
  UsherFetchGround ground;
  UsherSweepGround sweep;
  char *state_dir;
  UsherWorkers *fetchers, *sweeper;
  UsherImagesChanged changed;
  gpointer user_data;
  GPtrArray *wanted;     /* of UsherWantedVersion, the most needed first; NULL: the broker has not said */
  GHashTable *here;      /* "NAME/VERSION"; NULL: nobody has looked */
  GHashTable *coming;    /* key → Version */
  guint busy;
  guint progress_timer, retry_timer, sweep_timer;
  GMutex sweep_lock;
  GMutex lock;
  GHashTable *wanted_keys; /* what sweeps must keep; guarded by `lock`, replaced and never changed */
};

static void go_on (UsherImages *images);

static gint64
now_ms (void)
{
  return g_get_monotonic_time () / 1000;
}

gint64
usher_images_backoff_ms (guint failures)
{
  return failures == 0 ? 0 : MIN ((gint64) 1000 << MIN (failures - 1, 16), BACKOFF_MAX_MS);
}

/* ---- the table ---- */

static void
version_free (Version *version)
{
  usher_fetch_unref (version->fetch);
  g_free (version->key);
  g_free (version->reason);
  g_free (version);
}

/* Of the table: one whose fetch is under way lives until that is back. */
static void
version_drop (gpointer data)
{
  Version *version = data;
  version->dropped = TRUE;
  usher_fetch_cancel (version->fetch);
  if (!version->busy)
    version_free (version);
}

static gboolean
is_not_wanted (gpointer key, gpointer value, gpointer user_data)
{
  return !g_hash_table_contains (user_data, key);
}

/* A version that comes; when the broker says another thing of its files than before, that counts. */
static void
expect (UsherImages *images, const char *key, const UsherWantedVersion *wanted)
{
  const Version *before = g_hash_table_lookup (images->coming, key);
  if (before != NULL && usher_wanted_version_equal (usher_fetch_get_version (before->fetch), wanted))
    return;
  Version *version = g_new0 (Version, 1);
  *version = (Version) { .images = images, .key = g_strdup (key), .fetch = usher_fetch_new (&images->ground, wanted) };
  g_hash_table_replace (images->coming, version->key, version);
}

/* Brings the table in step with what is wanted and what is here. */
static void
reconcile (UsherImages *images)
{
  if (images->wanted == NULL || images->here == NULL)
    return;
  g_autoptr (GHashTable) missing = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  for (guint i = 0; i < images->wanted->len; i++)
    {
      const UsherWantedVersion *wanted = images->wanted->pdata[i];
      g_autofree char *key = usher_version_key (wanted->template_name, wanted->template_version);
      if (g_hash_table_contains (images->here, key) || wanted->files->len == 0) /* none: it lies on hosts only */
        continue;
      expect (images, key, wanted);
      g_hash_table_add (missing, g_steal_pointer (&key));
    }
  g_hash_table_foreach_remove (images->coming, is_not_wanted, missing);
}

/* ---- sweeps ---- */

static GHashTable *
ref_wanted_keys (UsherImages *images)
{
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&images->lock);
  return g_hash_table_ref (images->wanted_keys);
}

static void
make_room (gint64 bytes, gpointer user_data)
{
  UsherImages *images = user_data;
  g_autoptr (GHashTable) wanted = ref_wanted_keys (images);
  g_autoptr (GMutexLocker) one_at_a_time = g_mutex_locker_new (&images->sweep_lock);
  usher_sweep (&images->sweep, wanted, bytes);
}

static gpointer
run_sweep (gpointer state, gpointer job, GError **error)
{
  make_room (0, job);
  return NULL;
}

static gboolean
on_sweep (gpointer data)
{
  UsherImages *images = data;
  if (images->wanted != NULL) /* else nobody knows what is not wanted */
    usher_workers_submit (images->sweeper, run_sweep, images, NULL, 0, NULL, NULL, NULL, NULL);
  return G_SOURCE_CONTINUE;
}

/* ---- fetches ---- */

/* Of one thread: what its connection needs. */
typedef struct {
  GMainContext *context;
  UsherLink *link; /* NULL until it is needed, and when it could not be made */
} Thread;

static gpointer
thread_start (gpointer user_data)
{
  Thread *thread = g_new0 (Thread, 1);
  thread->context = g_main_context_new ();
  g_main_context_push_thread_default (thread->context);
  return thread;
}

static void
thread_stop (gpointer state)
{
  Thread *thread = state;
  g_clear_pointer (&thread->link, usher_link_free);
  g_main_context_pop_thread_default (thread->context);
  g_main_context_unref (thread->context);
  g_free (thread);
}

static gpointer
run_fetch (gpointer state, gpointer job, GError **error)
{
  Thread *thread = state;
  const Version *version = job;
  UsherImages *images = version->images;
  if (thread->link == NULL)
    thread->link = usher_link_new (&images->ground.link, SILENCE_S, error);
  if (thread->link != NULL)
    usher_fetch_run (version->fetch, thread->link, make_room, images, error);
  return NULL;
}

static void
arrived (UsherImages *images, Version *version)
{
  usher_log (USHER_LOG_NOTICE, NULL, "template %s is on this host", version->key);
  g_hash_table_add (images->here, g_strdup (version->key));
  g_hash_table_remove (images->coming, version->key);
  images->changed (USHER_IMAGES_ARRIVED, images->user_data);
}

static void
failed (Version *version, gint64 received_before, const GError *problem)
{
  gboolean moved = usher_fetch_received (version->fetch) > received_before;
  version->passing = g_error_matches (problem, USHER_ERROR, USHER_ERROR_UNAVAILABLE);
  /* A line that is cut now and then still gets it here. */
  version->failures = version->passing && moved ? 1 : version->failures + 1;
  version->retry_at = now_ms () + usher_images_backoff_ms (version->failures);
  g_free (version->reason);
  version->reason = g_strdup (problem->message);
  usher_log (USHER_LOG_WARNING, NULL, "template %s: %s; tried again in %" G_GINT64_FORMAT " ms", version->key, problem->message,
             usher_images_backoff_ms (version->failures));
  version->images->changed (USHER_IMAGES_MOVED, version->images->user_data);
}

typedef struct {
  Version *version;
  gint64 received; /* when it was sent */
} Sent;

static void
fetch_done (gpointer result, const GError *error, gpointer user_data)
{
  g_autofree Sent *sent = user_data;
  Version *version = sent->version;
  UsherImages *images = version->images;
  version->busy = FALSE;
  images->busy--;
  if (version->dropped)
    version_free (version);
  else if (error == NULL)
    arrived (images, version);
  else
    failed (version, sent->received, error);
  go_on (images);
}

static gboolean
on_progress (gpointer data)
{
  UsherImages *images = data;
  gboolean moved = FALSE;
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, images->coming);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      Version *version = value;
      gint64 received = usher_fetch_received (version->fetch);
      moved = moved || received != version->reported;
      version->reported = received;
    }
  if (moved)
    images->changed (USHER_IMAGES_MOVED, images->user_data);
  if (images->busy > 0)
    return G_SOURCE_CONTINUE;
  images->progress_timer = 0;
  return G_SOURCE_REMOVE;
}

static void
send (Version *version)
{
  UsherImages *images = version->images;
  Sent *sent = g_new0 (Sent, 1);
  *sent = (Sent) { version, usher_fetch_received (version->fetch) };
  if (!usher_workers_submit (images->fetchers, run_fetch, version, NULL, 0, fetch_done, sent, NULL, NULL))
    {
      g_free (sent);
      version->retry_at = now_ms () + 1000;
      return;
    }
  version->busy = TRUE;
  images->busy++;
  if (images->progress_timer == 0)
    images->progress_timer = g_timeout_add (PROGRESS_MS, on_progress, images);
}

/* The first of the wanted ones that may be fetched now; NULL: none, and *out_when becomes when there will be (0: never). */
static Version *
next (const UsherImages *images, gint64 now, gint64 *out_when)
{
  for (guint i = 0; images->wanted != NULL && i < images->wanted->len; i++)
    {
      const UsherWantedVersion *wanted = images->wanted->pdata[i];
      g_autofree char *key = usher_version_key (wanted->template_name, wanted->template_version);
      Version *version = g_hash_table_lookup (images->coming, key);
      if (version == NULL || version->busy)
        continue;
      if (version->retry_at <= now)
        return version;
      *out_when = *out_when == 0 ? version->retry_at : MIN (*out_when, version->retry_at);
    }
  return NULL;
}

static gboolean
on_retry (gpointer data)
{
  UsherImages *images = data;
  images->retry_timer = 0;
  go_on (images);
  return G_SOURCE_REMOVE;
}

static void
go_on (UsherImages *images)
{
  gint64 now = now_ms (), when = 0;
  Version *version = NULL;
  while (images->busy < FETCHES && (version = next (images, now, &when)) != NULL)
    send (version);
  g_clear_handle_id (&images->retry_timer, g_source_remove);
  if (images->busy < FETCHES && when > 0)
    images->retry_timer = g_timeout_add ((guint) CLAMP (when - now, 1, G_MAXINT32), on_retry, images);
}

/* ---- what is told ---- */

static GHashTable *
needed_keys (const UsherSyncAnswer *answer)
{
  GHashTable *keys = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  for (guint i = 0; i < answer->desktops->len; i++)
    {
      const UsherWantedDesktop *desktop = answer->desktops->pdata[i];
      if (desktop->wanted == USHER_WANTED_RUNNING)
        g_hash_table_add (keys, usher_version_key (desktop->template_name, desktop->template_version));
    }
  for (guint i = 0; i < answer->parents->len; i++)
    {
      const UsherParentKey *parent = answer->parents->pdata[i];
      g_hash_table_add (keys, usher_version_key (parent->template_name, parent->template_version));
    }
  return keys;
}

void
usher_images_want (UsherImages *images, const UsherSyncAnswer *answer)
{
  g_autoptr (GHashTable) needed = needed_keys (answer);
  GHashTable *keys = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_clear_pointer (&images->wanted, g_ptr_array_unref);
  images->wanted = g_ptr_array_new_with_free_func ((GDestroyNotify) usher_wanted_version_free);
  guint needed_first = 0;
  for (guint i = 0; i < answer->versions->len; i++)
    {
      UsherWantedVersion *copy = usher_wanted_version_copy (answer->versions->pdata[i]);
      char *key = usher_version_key (copy->template_name, copy->template_version);
      g_ptr_array_insert (images->wanted, g_hash_table_contains (needed, key) ? (gint) needed_first++ : -1, copy);
      g_hash_table_add (keys, key);
    }
  g_mutex_lock (&images->lock);
  g_clear_pointer (&images->wanted_keys, g_hash_table_unref);
  images->wanted_keys = keys;
  g_mutex_unlock (&images->lock);
  reconcile (images);
  go_on (images);
}

void
usher_images_seen (UsherImages *images, const char *const *templates)
{
  g_clear_pointer (&images->here, g_hash_table_unref);
  images->here = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  for (gsize i = 0; templates[i] != NULL; i++)
    g_hash_table_add (images->here, g_strdup (templates[i]));
  guint before = g_hash_table_size (images->coming);
  reconcile (images);
  if (g_hash_table_size (images->coming) < before) /* somebody put it there */
    images->changed (USHER_IMAGES_ARRIVED, images->user_data);
  go_on (images);
}

/* Whether to say that it does not come: not of a cut that may pass. */
static gboolean
does_not_come (const Version *version)
{
  return version->reason != NULL && (!version->passing || version->failures >= TRIES_UNSAID);
}

void
usher_images_report (const UsherImages *images, GPtrArray *into)
{
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, images->coming);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    {
      const Version *version = value;
      const UsherWantedVersion *wanted = usher_fetch_get_version (version->fetch);
      UsherSeenFetch *seen = g_new0 (UsherSeenFetch, 1);
      *seen = (UsherSeenFetch) {
        .template_name = g_strdup (wanted->template_name), .template_version = wanted->template_version,
        .received = usher_fetch_received (version->fetch), .size = usher_fetch_size (version->fetch),
        .reason = g_strdup (does_not_come (version) ? version->reason : ""),
      };
      g_ptr_array_add (into, seen);
    }
}

char *
usher_images_dup_waiting (const UsherImages *images, const char *name, gint64 version_number, gboolean *out_failed)
{
  g_autofree char *key = usher_version_key (name, version_number);
  const Version *version = g_hash_table_lookup (images->coming, key);
  if (version == NULL)
    return NULL;
  gint64 received = usher_fetch_received (version->fetch), size = usher_fetch_size (version->fetch);
  *out_failed = does_not_come (version);
  if (*out_failed)
    return g_strdup_printf ("template %s does not come: %s", key, version->reason);
  return g_strdup_printf ("template %s is on its way, %d %%", key, size > 0 ? (int) (100.0 * (double) received / (double) size) : 0);
}

/* ---- life ---- */

UsherImages *
usher_images_new (const UsherImagesConfig *config, UsherImagesChanged changed, gpointer user_data)
{
  UsherImages *images = g_new0 (UsherImages, 1);
  usher_fetch_ground_init (&images->ground, &config->link, config->store, config->rate_mib_s * MIB, config->reserve_mib * MIB);
  images->state_dir = g_strdup (config->state_dir);
  images->sweep = (UsherSweepGround) { &images->ground, images->state_dir, config->keep_s };
  images->changed = changed;
  images->user_data = user_data;
  images->coming = g_hash_table_new_full (g_str_hash, g_str_equal, NULL, version_drop);
  images->wanted_keys = g_hash_table_new (g_str_hash, g_str_equal);
  g_mutex_init (&images->lock);
  g_mutex_init (&images->sweep_lock);
  images->fetchers = usher_workers_new ("fetch", FETCHES, FETCHES, thread_start, thread_stop, NULL);
  images->sweeper = usher_workers_new ("sweep", 1, 1, NULL, NULL, NULL);
  images->sweep_timer = g_timeout_add_seconds ((guint) CLAMP (config->keep_s / 4, 1, SWEEP_EVERY_MAX_S), on_sweep, images);
  return images;
}

void
usher_images_free (UsherImages *images)
{
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, images->coming);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    usher_fetch_cancel (((Version *) value)->fetch);
  usher_workers_free (images->fetchers);
  usher_workers_free (images->sweeper);
  g_hash_table_iter_init (&iter, images->coming);
  while (g_hash_table_iter_next (&iter, NULL, &value))
    ((Version *) value)->busy = FALSE; /* nobody comes back */
  g_clear_handle_id (&images->progress_timer, g_source_remove);
  g_clear_handle_id (&images->retry_timer, g_source_remove);
  g_clear_handle_id (&images->sweep_timer, g_source_remove);
  g_hash_table_unref (images->coming);
  g_clear_pointer (&images->here, g_hash_table_unref);
  g_clear_pointer (&images->wanted, g_ptr_array_unref);
  g_hash_table_unref (images->wanted_keys);
  usher_fetch_ground_clear (&images->ground);
  g_mutex_clear (&images->lock);
  g_mutex_clear (&images->sweep_lock);
  g_free (images->state_dir);
  g_free (images);
}
