/* The one WebSocket of the gateway: GET /spice. */
#pragma once
#include "gateway/edge/http_head.h"

/* Whether the request is for it. */
gboolean usher_upgrade_is_wanted (const UsherHttpRequest *request);

/* The whole "101 Switching Protocols", owned by the caller; NULL with INVALID (not an upgrade as RFC 6455 has
 * it) or REFUSED (its Origin is not `origin`; a client that is no browser sends none). */
char *usher_upgrade_answer (const UsherHttpRequest *request, const char *origin, GError **error);

/* The origin of an https URL, in lower case, without the default port; owned by the caller. INVALID when it is none. */
char *usher_origin_of_url (const char *url, GError **error);
