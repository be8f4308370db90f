/* The routes of the broker's HTTP interfaces: a table of method, path pattern, who may call and what
 * answers; and the pure function that finds a request's entry.
 *
 * A pattern is literal segments and {name} parameters, one segment each; a last {name...} takes the rest. */
#pragma once
#include <glib.h>

typedef struct _UsherCall UsherCall;
typedef struct _UsherStore UsherStore;

/* The socket a request came by. */
typedef enum { USHER_LISTENER_API, USHER_LISTENER_GATEWAY, USHER_LISTENER_HOST } UsherListener;

/* Who may call. The gateway socket's callers are known by the socket's permissions. */
typedef enum {
  USHER_CALLER_ANYONE,
  USHER_CALLER_PERSON, /* a signed-in person */
  USHER_CALLER_ADMIN,  /* a signed-in member of the administrators' group */
  USHER_CALLER_HOST,   /* a host, by its certificate */
} UsherCaller;

/* On the main loop: looks at the request and starts what answers it. FALSE: *error is the answer. */
typedef gboolean (*UsherBegin) (UsherCall *call, GError **error);

/* On a store worker thread, with its connection: sets the answer, or leaves it for more to come. */
typedef gboolean (*UsherStep) (UsherCall *call, UsherStore *store, GError **error);

/* What a request's body is. */
typedef enum {
  USHER_BODY_JSON,
  USHER_BODY_OCTETS, /* application/octet-stream */
} UsherBody;

typedef struct {
  UsherListener listener;
  const char *method, *pattern;
  UsherCaller caller;
  UsherBegin begin; /* NULL: run `step` on a store worker */
  UsherStep step;
  UsherBody body;
} UsherRoute;

/* Finds the entry for `method` and the still percent-encoded `path` (untrusted; HEAD is a file's GET). The
 * values of the parameters come decoded in *out_params, in the pattern's order, NULL-terminated; a value is
 * never empty, is UTF-8 and has no control characters. NULL with MISSING when no pattern fits, INVALID when the
 * path is malformed or takes other methods only: then *out_allowed is "GET, PUT" (owned by the caller), else NULL.
 * `table` ends with an entry whose method is NULL. */
const UsherRoute *usher_route_find (const UsherRoute *table, UsherListener listener, const char *method, const char *path,
                                    char ***out_params, char **out_allowed, GError **error);

/* The table of all routes (broker/api/route_table.c). */
extern const UsherRoute usher_routes[];

const char *usher_listener_name (UsherListener listener);
