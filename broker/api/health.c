/* What the broker stands on, for monitors and people: asked at most every two seconds, however often it is read,
 * and answered within two. */
#include "broker/api/api_private.h"
#include "broker/api/call_private.h"
#include "broker/api/handlers.h"
#include "broker/auth/directory.h"
#include "common/error.h"

#define FRESH_US (2 * G_USEC_PER_SEC)
#define PATIENCE_MS 2000

typedef enum { DATABASE, DIRECTORY, SUBJECTS } Subject;

typedef struct {
  gboolean asking, ok;
  gint64 known_at_us; /* monotonic; 0: never */
} Seen;

struct UsherHealth {
  Seen seen[SUBJECTS];
  GPtrArray *waiting; /* of Waiting */
};

typedef struct {
  UsherCall *call;
  guint timer;
} Waiting;

typedef struct {
  struct UsherHealth *health;
  UsherCall *call; /* keeps what asks alive */
  Subject subject;
} Question;

static void
waiting_free (Waiting *waiting)
{
  g_clear_handle_id (&waiting->timer, g_source_remove);
  usher_call_unref (waiting->call);
  g_free (waiting);
}

struct UsherHealth *
usher_health_new (void)
{
  struct UsherHealth *health = g_new0 (struct UsherHealth, 1);
  health->waiting = g_ptr_array_new_with_free_func ((GDestroyNotify) waiting_free);
  return health;
}

void
usher_health_free (struct UsherHealth *health)
{
  if (health == NULL)
    return;
  g_ptr_array_unref (health->waiting);
  g_free (health);
}

static gboolean
is_fresh (const Seen *seen)
{
  return seen->known_at_us != 0 && g_get_monotonic_time () - seen->known_at_us < FRESH_US;
}

static const char *
word (const Seen *seen)
{
  return is_fresh (seen) && seen->ok ? "ok" : "unknown";
}

static void
answer (UsherCall *call)
{
  const Seen *seen = call->api->health->seen;
  const char *database = call->api->ready ? word (&seen[DATABASE]) : "unknown"; /* as long as it refuses calls for want of it */
  usher_call_answer (call, 200, json_pack ("{s:s, s:s, s:s}", "broker", "ok", "database", database, "directory",
                                           word (&seen[DIRECTORY])));
  usher_call_finish (call, NULL);
}

static gboolean
all_fresh (const struct UsherHealth *health)
{
  return is_fresh (&health->seen[DATABASE]) && is_fresh (&health->seen[DIRECTORY]);
}

static void
answer_waiting (struct UsherHealth *health)
{
  while (all_fresh (health) && health->waiting->len > 0) {
    Waiting *waiting = g_ptr_array_index (health->waiting, 0);
    answer (waiting->call);
    g_ptr_array_remove_index (health->waiting, 0);
  }
}

static gboolean
out_of_patience (gpointer data)
{
  Waiting *waiting = data;
  struct UsherHealth *health = waiting->call->api->health;
  waiting->timer = 0;
  answer (waiting->call);
  g_ptr_array_remove (health->waiting, waiting);
  return G_SOURCE_REMOVE;
}

static gpointer
probe_database (gpointer state, gpointer job, GError **error)
{
  return usher_store_probe (state, error) ? GINT_TO_POINTER (TRUE) : NULL;
}

static gpointer
probe_directory (gpointer state, gpointer job, GError **error)
{
  return usher_directory_probe (state, error) ? GINT_TO_POINTER (TRUE) : NULL;
}

static void
probed (gpointer result, const GError *error, gpointer user_data)
{
  g_autofree Question *question = user_data;
  Seen *seen = &question->health->seen[question->subject];
  *seen = (Seen){ .asking = FALSE, .ok = result != NULL, .known_at_us = g_get_monotonic_time () };
  answer_waiting (question->health);
  usher_call_unref (question->call);
}

static void
ask (UsherCall *call, Subject subject, UsherWorkers *workers, UsherWorkFunc probe)
{
  struct UsherHealth *health = call->api->health;
  Seen *seen = &health->seen[subject];
  if (seen->asking || is_fresh (seen))
    return;
  Question *question = g_new (Question, 1);
  *question = (Question){ .health = health, .call = usher_call_ref (call), .subject = subject };
  seen->asking = usher_workers_submit (workers, probe, NULL, NULL, PATIENCE_MS, probed, question, NULL, NULL);
  if (seen->asking)
    return;
  usher_call_unref (call);
  g_free (question);
}

gboolean
usher_health_begin (UsherCall *call, GError **error)
{
  struct UsherHealth *health = call->api->health;
  ask (call, DATABASE, call->api->parts.store_workers, probe_database);
  ask (call, DIRECTORY, call->api->parts.directory_workers, probe_directory);
  if (all_fresh (health)) {
    answer (call);
    return TRUE;
  }
  Waiting *waiting = g_new (Waiting, 1);
  *waiting = (Waiting){ .call = usher_call_ref (call) };
  waiting->timer = g_timeout_add (PATIENCE_MS, out_of_patience, waiting);
  g_ptr_array_add (health->waiting, waiting);
  return TRUE;
}
