/* What signed-in people see: their pools and desktops. */
#include "broker/store/people.h"
#include "broker/api/call_private.h"
#include "broker/api/handlers.h"

gboolean
usher_people_pools_step (UsherCall *call, UsherStore *store, GError **error)
{
  json_t *pools = usher_store_pools_of (store, call->signed_in->person, error);
  if (pools == NULL)
    return FALSE;
  usher_call_answer (call, 200, pools);
  return TRUE;
}

gboolean
usher_people_desktops_step (UsherCall *call, UsherStore *store, GError **error)
{
  gint64 watch = 0, after = 0, timeout_s = 25;
  if (!usher_call_find_query_int (call, "watch", 0, 1, &watch, error)
      || !usher_call_find_query_int (call, "after", 0, G_MAXINT64, &after, error)
      || !usher_call_find_query_int (call, "timeout_s", 0, 25, &timeout_s, error))
    return FALSE;
  json_t *desktops = NULL;
  if (!usher_store_desktops_of (store, call->signed_in->person, watch ? after : 0, &desktops, error))
    return FALSE;
  if (desktops == NULL && !call->last_look) {
    usher_call_wait (call, USHER_KIND_BIT (USHER_KIND_DESKTOP) | USHER_KIND_BIT (USHER_KIND_POOL), (guint) timeout_s * 1000);
    return TRUE;
  }
  gboolean changed = desktops != NULL;
  if (!changed && !usher_store_desktops_of (store, call->signed_in->person, 0, &desktops, error))
    return FALSE;
  if (watch)
    json_object_set_new (desktops, "changed", json_boolean (changed));
  usher_call_answer (call, 200, desktops);
  return TRUE;
}

gboolean
usher_people_restart_step (UsherCall *call, UsherStore *store, GError **error)
{
  UsherActor actor = usher_call_get_actor (call);
  json_t *desktop = usher_store_restart (store, &actor, call->signed_in->person, usher_call_get_param (call, 0), error);
  if (desktop == NULL)
    return FALSE;
  usher_call_answer (call, 202, desktop);
  return TRUE;
}
