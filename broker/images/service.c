#include "broker/images/service.h"
#include "broker/images/intake.h"
#include "broker/images/sweep.h"
#include "common/error.h"
#include "common/log.h"

#define PIECE_THREADS 4
#define PIECE_QUEUE 256
#define INTAKE_THREADS 2
#define INTAKE_QUEUE 16
#define SWEEP_S 60

struct _UsherImageService {
  UsherImages *images;
  UsherWorkers *pieces, *intakes;
  GHashTable *running; /* upload's id → Intake */
  guint last_number, sweep_timer;
  gboolean sweeping;
};

typedef struct {
  guint number;
  UsherIntakeDone done;
  gpointer user_data;
} Waiter;

/* Made and freed on the main loop; the job's thread fills what it came to. */
typedef struct {
  UsherImageService *service;
  char *id, *name, *address, *request; /* of whom it is done for */
  GArray *waiters;
  char *template;
  gint64 version;
  json_t *reasons;
} Intake;

static void
intake_free (Intake *intake)
{
  g_free (intake->id);
  g_free (intake->name);
  g_free (intake->address);
  g_free (intake->request);
  g_array_unref (intake->waiters);
  g_free (intake->template);
  json_decref (intake->reasons);
  g_free (intake);
}

static gpointer
take_in (gpointer state, gpointer job, GError **error)
{
  Intake *intake = job;
  const UsherActor actor = { .name = intake->name, .address = intake->address, .request = intake->request };
  usher_images_take_in (intake->service->images, state, &actor, intake->id, &intake->template, &intake->version, &intake->reasons,
                        error);
  return NULL;
}

static void
taken_in (gpointer result, const GError *error, gpointer user_data)
{
  Intake *intake = user_data;
  const UsherIntakeResult outcome = { intake->template, intake->version, intake->reasons, error };
  g_hash_table_steal (intake->service->running, intake->id);
  for (guint i = 0; i < intake->waiters->len; i++) {
    const Waiter *waiter = &g_array_index (intake->waiters, Waiter, i);
    waiter->done (&outcome, waiter->user_data);
  }
  if (intake->waiters->len == 0 && error != NULL)
    usher_log (USHER_LOG_NOTICE, NULL, "upload %s was not taken in: %s", intake->id, error->message);
  intake_free (intake);
}

static Intake *
begin_intake (UsherImageService *service, const UsherActor *actor, const char *id, GError **error)
{
  Intake *intake = g_new0 (Intake, 1);
  intake->service = service;
  intake->id = g_strdup (id);
  intake->name = g_strdup (actor->name);
  intake->address = g_strdup (actor->address);
  intake->request = g_strdup (actor->request);
  intake->waiters = g_array_new (FALSE, FALSE, sizeof (Waiter));
  if (usher_workers_submit (service->intakes, take_in, intake, NULL, 0, taken_in, intake, NULL, error)) {
    g_hash_table_insert (service->running, intake->id, intake);
    return intake;
  }
  intake_free (intake);
  return NULL;
}

guint
usher_image_service_take_in (UsherImageService *service, const UsherActor *actor, const char *id, UsherIntakeDone done,
                             gpointer user_data, GError **error)
{
  Intake *intake = g_hash_table_lookup (service->running, id);
  if (intake == NULL && service->intakes != NULL)
    intake = begin_intake (service, actor, id, error);
  else if (intake == NULL)
    g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "the broker ends");
  if (intake == NULL)
    return 0;
  Waiter waiter = { .number = ++service->last_number, .done = done, .user_data = user_data };
  g_array_append_val (intake->waiters, waiter);
  return waiter.number;
}

void
usher_image_service_forget (UsherImageService *service, guint number)
{
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init (&iter, service->running);
  while (g_hash_table_iter_next (&iter, NULL, &value)) {
    GArray *waiters = ((Intake *) value)->waiters;
    for (guint i = waiters->len; i-- > 0;)
      if (g_array_index (waiters, Waiter, i).number == number)
        g_array_remove_index (waiters, i);
  }
}

/* ---- sweeping ---- */

static gpointer
sweep (gpointer state, gpointer job, GError **error)
{
  UsherImageService *service = job;
  usher_images_sweep (service->images, state, error);
  return NULL;
}

static void
swept (gpointer result, const GError *error, gpointer user_data)
{
  UsherImageService *service = user_data;
  service->sweeping = FALSE;
  if (error != NULL)
    usher_log (USHER_LOG_WARNING, NULL, "what nobody needs of templates could not be removed: %s", error->message);
}

static gboolean
begin_sweep (gpointer data)
{
  UsherImageService *service = data;
  if (!service->sweeping)
    service->sweeping = usher_workers_submit (service->intakes, sweep, service, NULL, 0, swept, service, NULL, NULL);
  return G_SOURCE_CONTINUE;
}

void
usher_image_service_begin_sweeps (UsherImageService *service)
{
  if (service->sweep_timer != 0)
    return;
  service->sweep_timer = g_timeout_add_seconds (SWEEP_S, begin_sweep, service);
  begin_sweep (service);
}

/* ---- the whole ---- */

UsherImageService *
usher_image_service_new (const UsherSettings *settings, UsherWorkersStart start, UsherWorkersStop stop, gpointer user_data)
{
  UsherImageService *service = g_new0 (UsherImageService, 1);
  service->images = usher_images_new (settings);
  service->pieces = usher_workers_new ("images", PIECE_THREADS, PIECE_QUEUE, start, stop, user_data);
  service->intakes = usher_workers_new ("intakes", INTAKE_THREADS, INTAKE_QUEUE, start, stop, user_data);
  service->running = g_hash_table_new (g_str_hash, g_str_equal);
  return service;
}

const UsherImages *
usher_image_service_get_images (UsherImageService *service)
{
  return service->images;
}

UsherWorkers *
usher_image_service_get_pieces (UsherImageService *service)
{
  return service->pieces;
}

void
usher_image_service_give_up (UsherImageService *service)
{
  g_cancellable_cancel (service->images->ending);
}

void
usher_image_service_stop (UsherImageService *service)
{
  g_clear_handle_id (&service->sweep_timer, g_source_remove);
  usher_image_service_give_up (service);
  g_clear_pointer (&service->pieces, usher_workers_free);
  g_clear_pointer (&service->intakes, usher_workers_free);
  while (g_main_context_iteration (NULL, FALSE)) /* ends of jobs, which look at what is freed here */
    ;
}

void
usher_image_service_free (UsherImageService *service)
{
  if (service == NULL)
    return;
  usher_image_service_stop (service);
  g_hash_table_unref (service->running);
  usher_images_free (service->images);
  g_free (service);
}
