/* Inside of broker/store/: the audit line of a change, in the transaction of the change. */
#pragma once
#include "broker/store/audit.h"

/* Also outside of a transaction. */
gboolean usher_audit_add (UsherStore *store, const UsherActor *actor, const UsherAuditLine *line, GError **error);

/* What a line may hold of `text`: valid UTF-8 of at most 1000 characters; NULL becomes "". Owned by the caller. */
char *usher_audit_clean (const char *text);

/* A line about something that was refused or failed with `why`; what goes wrong here is logged only. */
void usher_audit_refusal (UsherStore *store, const UsherActor *actor, const UsherAuditLine *line, const GError *why);
