/* The sign-in session's cookie, and the rules that keep other sites from using it. Pure functions. */
#pragma once
#include <glib.h>
#include "common/id.h"

#define USHER_COOKIE_NAME "usher_session"

/* Finds the session token in a Cookie header (untrusted, may be NULL). FALSE when there is none, more than
 * one, or it has not the form of a token; `out` is untouched then. */
gboolean usher_cookie_find (const char *header, char out[USHER_TOKEN_SIZE]);

/* The Set-Cookie value that gives `token` for `max_age_s`; NULL and 0 take it away. Owned by the caller. */
char *usher_cookie_format (const char *token, gint64 max_age_s);

/* "scheme://host[:port]" of `url`, lower case, without a default port; NULL when it is not http(s). */
char *usher_origin_of (const char *url);

/* Whether a request whose Origin header is `origin` (NULL: none sent, which is allowed: not a browser's
 * cross-site request) may change something on `public_origin`. */
gboolean usher_origin_allowed (const char *origin, const char *public_origin);
