/* Errors that any part of Usher may return: one GError domain, whose codes say what the caller can do.
 *
 * A library's own errors (libpq, ldap, libvirt, OpenSSL) become these at the folder that owns the
 * library. The message is for a person: it names what and where, and never holds a secret. */
#pragma once
#include <glib.h>

#define USHER_ERROR (usher_error_quark ())

typedef enum {
  USHER_ERROR_INVALID,         /* the input is wrong: mend it                         HTTP 400 */
  USHER_ERROR_UNAUTHENTICATED, /* who you are is not shown: sign in                   HTTP 401 */
  USHER_ERROR_REFUSED,         /* known, and a rule says no                           HTTP 403 */
  USHER_ERROR_MISSING,         /* there is no such thing                              HTTP 404 */
  USHER_ERROR_CONFLICT,        /* it changed meanwhile, or the name is taken: look again  409 */
  USHER_ERROR_TOO_LARGE,       /* over a stated limit                                 HTTP 413 */
  USHER_ERROR_THROTTLED,       /* too many tries: wait                                HTTP 429 */
  USHER_ERROR_EXHAUSTED,       /* no host, memory, disk or size left: an administrator acts   503 */
  USHER_ERROR_BUSY,            /* a queue is full: try again at once                  HTTP 503 */
  USHER_ERROR_UNAVAILABLE,     /* could not find out: something this stands on is down    503 */
  USHER_ERROR_INTERNAL,        /* a defect of ours                                    HTTP 500 */
} UsherError;

GQuark usher_error_quark (void);

/* The code's name on the wire and in logs, e.g. "refused"; a static string. */
const char *usher_error_name (UsherError code);

/* The HTTP status that carries `code`. */
unsigned usher_error_http_status (UsherError code);

/* As above, for any error: one of another domain counts as USHER_ERROR_INTERNAL. */
UsherError usher_error_code (const GError *error);
