/* Template versions: which one is published, which are retired, and which files are still needed. */
#pragma once
#include "broker/store/store.h"
#include "common/rpc/sync.h"

/* A change of what a template publishes. */
typedef enum {
  USHER_VERSION_PUBLISH,  /* pools that name no version get this one */
  USHER_VERSION_ROLLBACK, /* back to the one published before; `version` is not looked at */
  USHER_VERSION_RETIRE,   /* nobody may use it any more; its files go */
} UsherVersionChange;

/* Makes the change and returns the template's record (retire of a version whose template has no record: the version's).
 * MISSING: no such template or version. CONFLICT: *out_reasons (NULL before; owned by the caller) is a list of
 * {"rule","message"}. Repeating what is done already is no error. Audited. */
json_t *usher_store_version_change (UsherStore *store, const UsherActor *actor, UsherVersionChange change, const char *template,
                                    gint64 version, json_t **out_reasons, GError **error);

/* What there is of a file of a version. MISSING: no such version or file, or its files are gone. */
gboolean usher_store_version_file (UsherStore *store, const char *template, gint64 version, const char *file, gint64 *out_size,
                                   char **out_sha256, GError **error);

/* A version that was retired a minute ago or longer and that no desktop stands on: its files may go. *out_template is NULL
 * when there is none. Then usher_store_version_emptied(). */
gboolean usher_store_version_unneeded (UsherStore *store, char **out_template, gint64 *out_version, GError **error);

/* Notes that its files are to go: from now on nobody is told of them. */
gboolean usher_store_version_emptied (UsherStore *store, const char *template, gint64 version, GError **error);

/* Whether any record or upload speaks of this version. */
gboolean usher_store_version_is_known (UsherStore *store, const char *template, gint64 version, gboolean *out_known, GError **error);

/* Inside of broker/store/: adds to `answer` the versions that the host should have. */
gboolean usher_versions_add_wanted (UsherStore *store, const char *host, UsherSyncAnswer *answer, GError **error);
