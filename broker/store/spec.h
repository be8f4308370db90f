/* Inside of broker/store/: what the spec of each kind may hold. Pure. */
#pragma once
#include <jansson.h>
#include "broker/store/kind.h"

/* Whether records of the kind are applied, and deleted, by administrators. */
gboolean usher_spec_is_applied (UsherKind kind);
gboolean usher_spec_is_deleted (UsherKind kind);

/* Whether `name` may name a record: [a-z0-9] first and last, [a-z0-9.-] between, at most 63. */
gboolean usher_spec_name_is_valid (const char *name);

/* Checks `spec` member by member; INVALID names the record and the path. */
gboolean usher_spec_check (UsherKind kind, const char *name, const json_t *spec, GError **error);

/* The key in person.keys that an entitlement's spec is about; owned by the caller. NULL: INVALID. */
char *usher_spec_entitlement_key (const json_t *spec, GError **error);

/* The keys of a person: "user:…", "dn:…", "group:…". Owned by the caller, NULL-terminated. */
char **usher_spec_person_keys (const char *user_key, const char *const *groups, const char *const *group_names);
