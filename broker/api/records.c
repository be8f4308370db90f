/* The administrators' records: list, watch, get, apply, delete, and why they are as they are. */
#include "broker/store/records.h"
#include "broker/api/call_private.h"
#include "broker/api/handlers.h"
#include "common/error.h"

static gboolean
get_kind (UsherCall *call, UsherKind *out, GError **error)
{
  const char *name = usher_call_get_param (call, 0);
  if (usher_kind_parse (name, out))
    return TRUE;
  g_set_error (error, USHER_ERROR, USHER_ERROR_MISSING, "there is no kind of record «%s»", name);
  return FALSE;
}

static gboolean
answer_if (UsherCall *call, guint status, json_t *body)
{
  if (body == NULL)
    return FALSE;
  usher_call_answer (call, status, body);
  return TRUE;
}

static gboolean
watch (UsherCall *call, UsherStore *store, UsherKind kind, GError **error)
{
  gint64 after = 0, timeout_s = 25;
  if (!usher_call_find_query_int (call, "after", 0, G_MAXINT64, &after, error)
      || !usher_call_find_query_int (call, "timeout_s", 0, 25, &timeout_s, error))
    return FALSE;
  json_t *changes = NULL;
  if (!usher_store_changes (store, kind, after, &changes, error))
    return FALSE;
  if (changes == NULL && !call->last_look) {
    usher_call_wait (call, USHER_KIND_BIT (kind), (guint) timeout_s * 1000);
    return TRUE;
  }
  if (changes == NULL)
    changes = json_pack ("{s:I, s:[], s:[]}", "resource_version", (json_int_t) after, "items", "deleted");
  return answer_if (call, 200, changes);
}

gboolean
usher_records_list_step (UsherCall *call, UsherStore *store, GError **error)
{
  UsherKind kind;
  gint64 wants_watch = 0, limit = 0, before = 0;
  if (!get_kind (call, &kind, error) || !usher_call_find_query_int (call, "watch", 0, 1, &wants_watch, error)
      || !usher_call_find_query_int (call, "limit", 1, 1000, &limit, error)
      || !usher_call_find_query_int (call, "before", 1, G_MAXINT64, &before, error))
    return FALSE;
  if (wants_watch)
    return watch (call, store, kind, error);
  return answer_if (call, 200, usher_store_list (store, kind, (guint) limit, before, error));
}

gboolean
usher_records_get_step (UsherCall *call, UsherStore *store, GError **error)
{
  UsherKind kind;
  if (!get_kind (call, &kind, error))
    return FALSE;
  return answer_if (call, 200, usher_store_get (store, kind, usher_call_get_param (call, 1), error));
}

gboolean
usher_records_apply_step (UsherCall *call, UsherStore *store, GError **error)
{
  static const char *const known[] = { "spec", "resource_version", NULL };
  UsherKind kind;
  const json_t *spec = NULL;
  gint64 version = 0;
  UsherApplied applied = USHER_APPLIED_SAME;
  UsherJson body = usher_call_get_body (call);
  UsherActor actor = usher_call_get_actor (call);
  if (!get_kind (call, &kind, error) || !usher_json_only (body, known, error)
      || !usher_json_get_object (body, "spec", &spec, error)
      || !usher_json_find_int (body, "resource_version", 0, G_MAXINT64, &version, error))
    return FALSE;
  json_t *record = usher_store_apply (store, &actor, kind, usher_call_get_param (call, 1), spec, version, &applied, error);
  return answer_if (call, applied == USHER_APPLIED_CREATED ? 201 : 200, record);
}

gboolean
usher_records_delete_step (UsherCall *call, UsherStore *store, GError **error)
{
  UsherKind kind;
  gboolean pending = FALSE;
  const char *name = usher_call_get_param (call, 1);
  UsherActor actor = usher_call_get_actor (call);
  if (!get_kind (call, &kind, error) || !usher_store_delete (store, &actor, kind, name, &pending, error))
    return FALSE;
  /* Gone since: then there is nothing pending any more. */
  json_t *record = pending ? usher_store_get (store, kind, name, NULL) : NULL;
  if (record != NULL)
    usher_call_answer (call, 202, record);
  else
    usher_call_answer_empty (call, 204);
  return TRUE;
}

gboolean
usher_records_refresh_step (UsherCall *call, UsherStore *store, GError **error)
{
  UsherActor actor = usher_call_get_actor (call);
  return answer_if (call, 202, usher_store_refresh (store, &actor, usher_call_get_param (call, 0), error));
}

gboolean
usher_records_why_step (UsherCall *call, UsherStore *store, GError **error)
{
  return answer_if (call, 200, usher_store_why (store, usher_call_get_param (call, 0), error));
}
