/* The body of every error answer (docs/protocols.md). */
#pragma once
#include <glib.h>
#include <jansson.h>

/* {"error": {"code","message","reasons","request"}}; `reasons` (borrowed) may be NULL. What only an operator
 * should read stays in the log: an INTERNAL error's message is replaced. */
json_t *usher_error_body (const GError *error, const json_t *reasons, const char *request);
