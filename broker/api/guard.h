/* What every request must meet before its handler sees it. */
#pragma once
#include <libsoup/soup.h>
#include "broker/api/call.h"

#define USHER_BODY_MAX (1024 * 1024)

/* On the head alone: a body is announced with its length and within the limit. */
gboolean usher_guard_head (SoupServerMessage *message, GError **error);

/* Main loop, once the route is known: content type, origin, and the body's JSON (into the call). */
gboolean usher_guard_request (UsherCall *call, GError **error);

/* On a store worker: fills who (PERSON, ADMIN) or host (HOST), or says UNAUTHENTICATED or REFUSED. */
gboolean usher_guard_authorise (UsherCall *call, UsherStore *store, GError **error);
