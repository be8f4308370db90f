/* Which version a template publishes, and which it has no more. */
#include "broker/store/versions.h"
#include "broker/api/call_private.h"
#include "broker/api/handlers.h"

static gboolean
change (UsherCall *call, UsherStore *store, UsherVersionChange what, GError **error)
{
  static const char *const known[] = { "version", NULL };
  UsherActor actor = usher_call_get_actor (call);
  UsherJson body = usher_call_get_body (call);
  json_auto_t *reasons = NULL;
  gint64 version = 0;
  gboolean good = what == USHER_VERSION_ROLLBACK ? usher_json_only (body, known + 1, error)
                                                 : usher_json_only (body, known, error)
                                                     && usher_json_get_int (body, "version", 1, G_MAXINT32, &version, error);
  if (!good)
    return FALSE;
  json_t *record = usher_store_version_change (store, &actor, what, usher_call_get_param (call, 0), version, &reasons, error);
  if (record != NULL)
    usher_call_answer (call, 200, record);
  else
    usher_call_add_reasons (call, reasons);
  return record != NULL;
}

gboolean
usher_versions_publish_step (UsherCall *call, UsherStore *store, GError **error)
{
  return change (call, store, USHER_VERSION_PUBLISH, error);
}

gboolean
usher_versions_rollback_step (UsherCall *call, UsherStore *store, GError **error)
{
  return change (call, store, USHER_VERSION_ROLLBACK, error);
}

gboolean
usher_versions_retire_step (UsherCall *call, UsherStore *store, GError **error)
{
  return change (call, store, USHER_VERSION_RETIRE, error);
}
