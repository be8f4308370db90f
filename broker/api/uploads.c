/* Uploads of template versions: begun, sent in pieces, finished or dropped. */
#include "broker/store/uploads.h"
#include "broker/api/api_private.h"
#include "broker/api/call_private.h"
#include "broker/api/handlers.h"
#include "broker/images/sweep.h"
#include "broker/images/upload.h"
#include "broker/images/wish.h"
#include "common/error.h"
#include "common/fault.h"
#include "templates/manifest.h"

#define FINISH_MS 20000 /* so long a finish waits; then it is asked again */
#define FINISH_AGAIN_S 1

static UsherImageService *
service_of (UsherCall *call)
{
  return call->api->parts.images;
}

static const UsherImages *
images_of (UsherCall *call)
{
  return usher_image_service_get_images (service_of (call));
}

/* ---- begin ---- */

static gboolean
answer_upload (UsherCall *call, UsherStore *store, const UsherUpload *upload, gboolean fresh, GError **error)
{
  json_t *received = usher_upload_received (images_of (call), upload, error);
  UsherActor actor = usher_call_get_actor (call);
  if (received == NULL) {
    if (fresh)
      usher_store_upload_drop (store, &actor, upload->id, "there was no room for it", NULL);
    return FALSE;
  }
  usher_call_answer (call, fresh ? 201 : 200, json_pack ("{s:s, s:i, s:o}", "upload", upload->id, "chunk_max", USHER_UPLOAD_CHUNK_MAX,
                                                         "files", received));
  return TRUE;
}

static gboolean
begin_step (UsherCall *call, UsherStore *store, GError **error)
{
  const char *template = usher_call_get_param (call, 0);
  const UsherImages *images = images_of (call);
  UsherActor actor = usher_call_get_actor (call);
  UsherUploadBegun begun = USHER_UPLOAD_NEW;
  g_autoptr (UsherUpload) upload = NULL;
  gint64 version = 0;
  usher_call_audit_refusal (call, "upload");
  g_autoptr (UsherImageWish) wish = usher_image_wish_parse (usher_call_get_body (call), template, images, error);
  if (wish == NULL)
    return FALSE;
  usher_call_audit_refusal (call, NULL);
  if (!usher_store_upload_begin (store, &actor, &wish->wish, images->uploads, &begun, &upload, &version, error))
    return FALSE;
  USHER_FAULT_POINT ("images.begun");
  if (begun != USHER_UPLOAD_DONE)
    return answer_upload (call, store, upload, begun == USHER_UPLOAD_NEW, error);
  usher_call_answer (call, 200, json_pack ("{s:I}", "version", (json_int_t) version));
  return TRUE;
}

gboolean
usher_uploads_begin (UsherCall *call, GError **error)
{
  return usher_call_run_on (call, usher_image_service_get_pieces (service_of (call)), begin_step, error);
}

/* ---- a piece ---- */

static void
tell_received (UsherCall *call, gint64 received)
{
  g_autofree char *text = g_strdup_printf ("%" G_GINT64_FORMAT, received);
  usher_call_add_reason (call, "received", text);
}

static gboolean
piece_step (UsherCall *call, UsherStore *store, GError **error)
{
  gint64 offset = -1, received = -1;
  const char *file = usher_call_get_param (call, 1);
  if (!usher_call_find_query_int (call, "offset", 0, G_MAXINT64, &offset, error))
    return FALSE;
  if (offset < 0 || !usher_template_file_is_valid (file)) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, offset < 0 ? "query offset: is missing" : "that cannot be a file's name");
    return FALSE;
  }
  g_autoptr (UsherUpload) upload = usher_store_upload_find (store, usher_call_get_param (call, 0), error);
  GError *local = NULL;
  if (upload == NULL)
    return FALSE;
  if (usher_upload_write (images_of (call), upload, file, offset, usher_call_get_octets (call), &received, &local)) {
    usher_call_answer (call, 200, json_pack ("{s:I}", "received", (json_int_t) received));
    return TRUE;
  }
  if (received >= 0)
    tell_received (call, received);
  g_propagate_error (error, local);
  return FALSE;
}

gboolean
usher_uploads_piece_begin (UsherCall *call, GError **error)
{
  return usher_call_run_on (call, usher_image_service_get_pieces (service_of (call)), piece_step, error);
}

/* ---- finish: it goes on whether anybody waits for it or not ---- */

typedef struct {
  UsherCall *call;
  guint number, timer;
} Wait;

static void
wait_over (Wait *wait, const GError *error)
{
  g_clear_handle_id (&wait->timer, g_source_remove);
  usher_call_finish (wait->call, error);
  usher_call_unref (wait->call);
  g_free (wait);
}

static void
taken_in (const UsherIntakeResult *result, gpointer user_data)
{
  Wait *wait = user_data;
  if (result->error == NULL)
    usher_call_answer (wait->call, 201, json_pack ("{s:s, s:I}", "name", result->template, "version", (json_int_t) result->version));
  else
    usher_call_add_reasons (wait->call, result->reasons);
  wait_over (wait, result->error);
}

static gboolean
waited_enough (gpointer data)
{
  Wait *wait = data;
  g_autoptr (GError) error = NULL;
  wait->timer = 0;
  usher_image_service_forget (service_of (wait->call), wait->number);
  usher_call_set_retry_after (wait->call, FINISH_AGAIN_S);
  g_set_error (&error, USHER_ERROR, USHER_ERROR_BUSY, "its files are still being checked: ask again");
  wait_over (wait, error);
  return G_SOURCE_REMOVE;
}

static gboolean
finish (UsherCall *call, GError **error)
{
  UsherActor actor = usher_call_get_actor (call);
  Wait *wait = g_new0 (Wait, 1);
  wait->call = usher_call_ref (call);
  wait->number = usher_image_service_take_in (service_of (call), &actor, usher_call_get_param (call, 0), taken_in, wait, error);
  if (wait->number != 0) {
    wait->timer = g_timeout_add (FINISH_MS, waited_enough, wait);
    return TRUE;
  }
  usher_call_unref (call);
  g_free (wait);
  return FALSE;
}

gboolean
usher_uploads_finish_step (UsherCall *call, UsherStore *store, GError **error)
{
  usher_call_audit_refusal (call, "upload");
  if (!usher_json_only (usher_call_get_body (call), (const char *const[]){ NULL }, error))
    return FALSE;
  usher_call_set_next (call, finish);
  return TRUE;
}

/* ---- drop ---- */

static gboolean
drop_step (UsherCall *call, UsherStore *store, GError **error)
{
  UsherActor actor = usher_call_get_actor (call);
  if (!usher_images_drop (images_of (call), store, &actor, usher_call_get_param (call, 0), "it was dropped", error))
    return FALSE;
  usher_call_answer_empty (call, 204);
  return TRUE;
}

gboolean
usher_uploads_drop_begin (UsherCall *call, GError **error)
{
  return usher_call_run_on (call, usher_image_service_get_pieces (service_of (call)), drop_step, error);
}
