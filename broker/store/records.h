/* The administrators' records as JSON documents, exactly as docs/protocols.md "Administrators' API" has them.
 *
 * A record's resource_version is the number of the transaction that changed it last. A list's (and a watch
 * answer's) resource_version is the newest number that no unfinished transaction can still come before: nothing is
 * missed by asking for changes after it; a change may be told twice. See docs/adr/0030-resource-versions.md. */
#pragma once
#include "broker/store/store.h"

/* {"resource_version","items":[…]}; new reference. `limit` 0: all (audit: 100, at most 1000); `before` 0: from the
 * newest (both for audit only: its items are newest first and each has "seq" in its status). Others are in order of
 * name. */
json_t *usher_store_list (UsherStore *store, UsherKind kind, guint limit, gint64 before, GError **error);

/* {"resource_version","items":[changed…],"deleted":[id…]} when something changed after `after`; FALSE only on
 * error: *out is untouched (NULL it first) when nothing did. CONFLICT when `after` is older than what is remembered
 * of deletions: list again. */
gboolean usher_store_changes (UsherStore *store, UsherKind kind, gint64 after, json_t **out, GError **error);

/* The record of that name or id; MISSING. */
json_t *usher_store_get (UsherStore *store, UsherKind kind, const char *name_or_id, GError **error);

typedef enum { USHER_APPLIED_CREATED, USHER_APPLIED_CHANGED, USHER_APPLIED_SAME } UsherApplied;

/* Makes or changes the record to `spec`, which is checked member by member (INVALID by path, MISSING references
 * are INVALID too) and audited. `version` 0: whatever is there; else CONFLICT unless the record has just that
 * resource_version. REFUSED for kinds that are not applied. Returns the record; *out_applied may be NULL. */
json_t *usher_store_apply (UsherStore *store, const UsherActor *actor, UsherKind kind, const char *name,
                           const json_t *spec, gint64 version, UsherApplied *out_applied, GError **error);

/* Deletes the record of that name or id and audits it. *out_pending: desktops must drain first (202): the record
 * goes by itself afterwards. MISSING; CONFLICT when another record refers to it (template of a pool, host with
 * desktops); REFUSED for kinds that are not deleted. */
gboolean usher_store_delete (UsherStore *store, const UsherActor *actor, UsherKind kind, const char *name_or_id,
                             gboolean *out_pending, GError **error);

/* Asks for a fresh system of a desktop, from what its pool wants now; its data disk is kept. Returns the record. MISSING; CONFLICT
 * when it has no data disk or is not on a host. Audited. */
json_t *usher_store_refresh (UsherStore *store, const UsherActor *actor, const char *name_or_id, GError **error);

/* {"record","explanation":[{"at","rule","message"}…],"audit":[…]} for the id of any kind of record; MISSING. */
json_t *usher_store_why (UsherStore *store, const char *id, GError **error);
