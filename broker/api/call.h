/* One HTTP request, from its head to its answer.
 *
 * A call is touched by one thread at a time: the main loop begins it, a store worker runs its step, the
 * main loop sends the answer. Handlers see the request through these functions and never touch the HTTP
 * library; only server.c and call_answer.c do. */
#pragma once
#include <jansson.h>
#include "broker/api/route.h"
#include "broker/store/sign_in.h"
#include "common/json.h"
#include "common/log.h"
#include "common/workers.h"

typedef struct _UsherApi UsherApi;

UsherCall *usher_call_ref (UsherCall *call);
void usher_call_unref (UsherCall *call);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherCall, usher_call_unref)

/* ---- the request (all borrowed) ---- */

UsherApi *usher_call_get_api (UsherCall *call);
const UsherRoute *usher_call_get_route (UsherCall *call);
/* The value of the pattern's parameter number `index`, from 0. */
const char *usher_call_get_param (UsherCall *call, guint index);
/* A query parameter; NULL when absent. */
const char *usher_call_get_query (UsherCall *call, const char *name);
/* As an integer; absent: *out untouched. */
gboolean usher_call_find_query_int (UsherCall *call, const char *name, gint64 min, gint64 max, gint64 *out, GError **error);
/* The octets of a route that takes them. */
GBytes *usher_call_get_octets (UsherCall *call);
/* A header of the request, e.g. Range; NULL when absent. Main loop. */
const char *usher_call_get_header (UsherCall *call, const char *name);
/* The body as an object; an empty body is an empty object. */
UsherJson usher_call_get_body (UsherCall *call);
/* Takes the object out of the call (for one that holds a secret); NULL when there was no body. */
json_t *usher_call_take_body (UsherCall *call);
/* The client's address as the gateway saw it. */
const char *usher_call_get_client (UsherCall *call);
const char *usher_call_get_request_id (UsherCall *call);
/* Who calls: filled before a step of a PERSON or ADMIN route runs; NULL on other routes. */
const UsherSignedIn *usher_call_get_signed_in (UsherCall *call);
/* The same for the store's audit: the person, host or stranger, with address and request. Strings are borrowed. */
UsherActor usher_call_get_actor (UsherCall *call);
/* The calling host's id, before a step of a HOST route; else NULL. */
const char *usher_call_get_host (UsherCall *call);
/* The cookie's session token; NULL when there is none. */
const char *usher_call_get_token (UsherCall *call);
/* A log context about this call; its strings are borrowed. */
UsherLogContext usher_call_log_context (UsherCall *call);

/* What a handler keeps between its steps. */
void usher_call_set_data (UsherCall *call, gpointer data, GDestroyNotify destroy);
gpointer usher_call_get_data (UsherCall *call);

/* ---- going on ---- */

/* Main loop: runs `step` on a store worker. FALSE with BUSY when its queue is full. */
gboolean usher_call_run (UsherCall *call, UsherStep step, GError **error);

/* The same on other threads whose state is a UsherStore. */
gboolean usher_call_run_on (UsherCall *call, UsherWorkers *workers, UsherStep step, GError **error);

/* In a step: when it returns TRUE without an answer, `next` runs on the main loop. */
void usher_call_set_next (UsherCall *call, UsherBegin next);

/* In a step that found nothing to answer yet: run the same step again when something of `topics` (see
 * waiters.h) changed. When `wait_ms` from the call's first such wish have passed the step runs a last time, and
 * usher_call_is_last_look() says so: it must answer then. */
void usher_call_wait (UsherCall *call, guint topics, guint wait_ms);
gboolean usher_call_is_last_look (UsherCall *call);

/* Main loop: sends the answer that was set, or `error` (borrowed) when it is not NULL. Once for each call. */
void usher_call_finish (UsherCall *call, const GError *error);

/* ---- the answer ---- */

/* Takes `body`. */
void usher_call_answer (UsherCall *call, guint status, json_t *body);
/* `type` is static; takes `bytes`. */
void usher_call_answer_bytes (UsherCall *call, guint status, const char *type, GBytes *bytes);
void usher_call_answer_empty (UsherCall *call, guint status);
void usher_call_set_header (UsherCall *call, const char *name, const char *value);
/* Main loop, instead of usher_call_finish(): the octets [offset, offset + length) of the file behind `fd` (taken), read as fast as
 * the client takes them. */
void usher_call_stream (UsherCall *call, guint status, int fd, gint64 offset, gint64 length);
/* One thing that stood in the way, for the error body. */
void usher_call_add_reason (UsherCall *call, const char *rule, const char *message);
/* A list of {"rule","message"}; may be NULL. */
void usher_call_add_reasons (UsherCall *call, const json_t *reasons);
/* Any refusal of this call is to be audited as `action` (static), since no store function does it. */
void usher_call_audit_refusal (UsherCall *call, const char *action);
/* A refusal is answered no earlier than `ms` after the call began, whatever it took to find out. */
void usher_call_set_refusal_floor (UsherCall *call, guint ms);
/* Seconds for Retry-After of a 429 or 503; by default 5. */
void usher_call_set_retry_after (UsherCall *call, guint seconds);
gboolean usher_call_is_answered (UsherCall *call);
