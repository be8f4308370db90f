/* The threads that work on the broker's folder of template versions, and the sweep. Main loop.
 *
 *     pieces   short jobs: an upload's chunk, a piece of a download
 *     intakes  long ones: reading a whole upload through, qemu-img, the sweep */
#pragma once
#include "broker/images/limits.h"
#include "broker/store/store.h"
#include "common/workers.h"

typedef struct _UsherImageService UsherImageService;

/* `start` and `stop` make and free a thread's UsherStore. */
UsherImageService *usher_image_service_new (const UsherSettings *settings, UsherWorkersStart start, UsherWorkersStop stop,
                                            gpointer user_data);

const UsherImages *usher_image_service_get_images (UsherImageService *service);
UsherWorkers *usher_image_service_get_pieces (UsherImageService *service);

/* What an intake came to. Borrowed; `error` NULL: it is version `version` of `template`. */
typedef struct {
  const char *template;
  gint64 version;
  const json_t *reasons; /* may be NULL */
  const GError *error;
} UsherIntakeResult;

typedef void (*UsherIntakeDone) (const UsherIntakeResult *result, gpointer user_data);

/* Takes in an upload (broker/images/intake.h); who asks again while it goes on gets the same result. `actor` is copied. Returns a
 * number for usher_image_service_forget(), 0 with BUSY. */
guint usher_image_service_take_in (UsherImageService *service, const UsherActor *actor, const char *id, UsherIntakeDone done,
                                   gpointer user_data, GError **error);

/* Who waited under that number does so no more; the intake goes on. */
void usher_image_service_forget (UsherImageService *service, guint number);

/* Once the schema is there: sweeps every minute. */
void usher_image_service_begin_sweeps (UsherImageService *service);

/* The broker is about to end: what takes long gives up. */
void usher_image_service_give_up (UsherImageService *service);

/* The same, waits for running jobs and takes no more: usher_image_service_get_pieces() gives NULL then. */
void usher_image_service_stop (UsherImageService *service);

void usher_image_service_free (UsherImageService *service);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherImageService, usher_image_service_free)
