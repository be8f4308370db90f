/* The audit trail: the broker's role may add to it and read it; nothing changes or removes a line. */
#pragma once
#include "broker/store/store.h"

/* Any text may be NULL ("" is stored). Never holds a secret. */
typedef struct {
  const char *action;             /* "signin", "connect", "redeem", "apply", "delete", "join", … */
  const char *outcome;            /* "ok" or an error's name (usher_error_name()) */
  const char *kind, *id, *object; /* of the record it is about: kind, id, name */
  const char *message;            /* for a person */
} UsherAuditLine;

/* Adds a line, in a transaction of its own. (What store functions do they audit themselves.) */
gboolean usher_store_audit (UsherStore *store, const UsherActor *actor, const UsherAuditLine *line, GError **error);
