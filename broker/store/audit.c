#include "broker/store/audit.h"

#include "broker/store/audit_add.h"
#include "broker/store/sql.h"
#include "common/log.h"

static const UsherSql add
    = { "audit-add", "INSERT INTO audit (actor, address, request, action, outcome, kind, object_id, object, message) "
                     "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)" };

char *
usher_audit_clean (const char *text)
{
  g_autofree char *valid = g_utf8_make_valid (text != NULL ? text : "", -1);
  return g_utf8_strlen (valid, -1) <= 1000 ? g_steal_pointer (&valid) : g_utf8_substring (valid, 0, 1000);
}

gboolean
usher_audit_add (UsherStore *store, const UsherActor *actor, const UsherAuditLine *line, GError **error)
{
  g_autofree char *name = usher_audit_clean (actor->name), *address = usher_audit_clean (actor->address),
                  *request = usher_audit_clean (actor->request);
  g_autofree char *object = usher_audit_clean (line->object), *message = usher_audit_clean (line->message),
                  *id = usher_audit_clean (line->id);
  return usher_sql_do (store, &add, NULL, error, name, address, request, line->action, line->outcome,
                       line->kind != NULL ? line->kind : "", id, object, message);
}

gboolean
usher_store_audit (UsherStore *store, const UsherActor *actor, const UsherAuditLine *line, GError **error)
{
  return usher_audit_add (store, actor, line, error);
}

void
usher_audit_refusal (UsherStore *store, const UsherActor *actor, const UsherAuditLine *line, const GError *why)
{
  g_autoptr (GError) error = NULL;
  UsherAuditLine refusal = *line;
  UsherError code = usher_error_code (why);
  if (code == USHER_ERROR_UNAVAILABLE || code == USHER_ERROR_BUSY)
    return; /* the database's own failures are the log's */
  refusal.outcome = usher_error_name (code);
  refusal.message = why->message;
  if (!usher_audit_add (store, actor, &refusal, &error))
    usher_log (USHER_LOG_ERROR, NULL, "not audited: %s %s %s: %s: %s", line->action, refusal.outcome,
               line->object != NULL ? line->object : "", why->message, error->message);
}
