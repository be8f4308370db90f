/* Sends a bundle to the broker, chunk by chunk, going on where an earlier try stopped. */
#pragma once
#include "ctl/client.h"
#include "ctl/template/bundle.h"

typedef struct {
  gint64 version;
  gboolean was_there; /* nothing was sent: such a version is there already */
} UsherUploaded;

/* `note` may be NULL: the bundle's own. A server that is away is waited for; `keep` says whether the part that was sent stays
 * on the server when it does not end well, for the same call to go on with; what the broker looked at and refused never stays. */
gboolean usher_upload (UsherClient *client, const UsherBundle *bundle, const char *note, gboolean keep, UsherUploaded *out,
                       GError **error);
