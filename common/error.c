#include "common/error.h"

G_DEFINE_QUARK (usher-error-quark, usher_error)

static const struct {
  const char *name;
  unsigned http_status;
} codes[] = {
  [USHER_ERROR_INVALID] = { "invalid", 400 },
  [USHER_ERROR_UNAUTHENTICATED] = { "unauthenticated", 401 },
  [USHER_ERROR_REFUSED] = { "refused", 403 },
  [USHER_ERROR_MISSING] = { "missing", 404 },
  [USHER_ERROR_CONFLICT] = { "conflict", 409 },
  [USHER_ERROR_TOO_LARGE] = { "too_large", 413 },
  [USHER_ERROR_THROTTLED] = { "throttled", 429 },
  [USHER_ERROR_EXHAUSTED] = { "exhausted", 503 },
  [USHER_ERROR_BUSY] = { "busy", 503 },
  [USHER_ERROR_UNAVAILABLE] = { "unavailable", 503 },
  [USHER_ERROR_INTERNAL] = { "internal", 500 },
};

static UsherError
known (UsherError code)
{
  return (guint) code < G_N_ELEMENTS (codes) ? code : USHER_ERROR_INTERNAL;
}

const char *
usher_error_name (UsherError code)
{
  return codes[known (code)].name;
}

unsigned
usher_error_http_status (UsherError code)
{
  return codes[known (code)].http_status;
}

UsherError
usher_error_code (const GError *error)
{
  return error != NULL && error->domain == USHER_ERROR ? known (error->code) : USHER_ERROR_INTERNAL;
}
