/* What the broker reads of a request's head, out of one input of lines: method, path, Cookie, Origin,
 * If-None-Match. The answer's error text is written too, since it quotes the request. */
#include <glib.h>
#include "broker/api/cookie.h"
#include "broker/api/error_body.h"
#include "broker/api/route.h"
#include "broker/api/static_files.h"
#include "tests/fuzz/fuzz.h"

static const UsherRoute table[] = {
  { USHER_LISTENER_API, "POST", "/api/v1/pools/{name}/connect", USHER_CALLER_PERSON, NULL, NULL, USHER_BODY_JSON },
  { USHER_LISTENER_API, "GET", "/api/v1/records/{kind}/{name}", USHER_CALLER_ADMIN, NULL, NULL, USHER_BODY_JSON },
  { USHER_LISTENER_API, "PUT", "/api/v1/records/{kind}/{name}", USHER_CALLER_ADMIN, NULL, NULL, USHER_BODY_JSON },
  { USHER_LISTENER_API, "GET", "/{path...}", USHER_CALLER_ANYONE, NULL, NULL, USHER_BODY_JSON },
  { .method = NULL },
};

static void
find (const char *method, const char *path)
{
  g_auto (GStrv) params = NULL;
  g_autofree char *allowed = NULL;
  g_autoptr (GError) error = NULL;
  const UsherRoute *route = usher_route_find (table, USHER_LISTENER_API, method, path, &params, &allowed, &error);
  g_assert_true ((route == NULL) == (error != NULL));
  for (guint i = 0; params != NULL && params[i] != NULL; i++)
    g_assert_true (g_utf8_validate (params[i], -1, NULL));
  if (error != NULL)
    json_decref (usher_error_body (error, NULL, "11111111-2222-4333-8444-555555555555"));
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autofree char *text = g_strndup ((const char *) data, size);
  g_auto (GStrv) lines = g_strsplit (text, "\n", 5);
  if (g_strv_length (lines) < 5)
    return 0;
  char token[USHER_TOKEN_SIZE];
  find (lines[0], lines[1]);
  if (usher_cookie_find (lines[2], token))
    g_assert_true (usher_token_is_valid (token));
  g_autofree char *origin = usher_origin_of (lines[3]);
  if (usher_origin_allowed (lines[3], "https://desk.example"))
    g_assert_cmpstr (origin, ==, "https://desk.example");
  usher_etag_matches (lines[4], "\"a\"");
  return 0;
}
