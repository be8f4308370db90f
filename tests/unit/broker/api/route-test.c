/* Finding a request's route: by listener, method and path, with hostile paths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "broker/api/route.h"
#include "common/error.h"

static const UsherRoute table[] = {
  { USHER_LISTENER_API, "GET", "/api/v1/pools", USHER_CALLER_PERSON, NULL, NULL, USHER_BODY_JSON },
  { USHER_LISTENER_API, "POST", "/api/v1/pools/{name}/connect", USHER_CALLER_PERSON, NULL, NULL, USHER_BODY_JSON },
  { USHER_LISTENER_API, "GET", "/api/v1/records/{kind}/{name}", USHER_CALLER_ADMIN, NULL, NULL, USHER_BODY_JSON },
  { USHER_LISTENER_API, "PUT", "/api/v1/records/{kind}/{name}", USHER_CALLER_ADMIN, NULL, NULL, USHER_BODY_JSON },
  { USHER_LISTENER_GATEWAY, "POST", "/gateway/v1/redeem", USHER_CALLER_ANYONE, NULL, NULL, USHER_BODY_JSON },
  { USHER_LISTENER_API, "GET", "/api/{path...}", USHER_CALLER_ANYONE, NULL, NULL, USHER_BODY_JSON },
  { USHER_LISTENER_API, "GET", "/{path...}", USHER_CALLER_ANYONE, NULL, NULL, USHER_BODY_JSON },
  { .method = NULL },
};

typedef struct {
  const char *method, *path;
  int wanted; /* index in the table; -1 none */
  UsherError code;
  const char *first, *second; /* parameters */
} Case;

static const Case cases[] = {
  { "GET", "/api/v1/pools", 0, 0, NULL, NULL },
  { "HEAD", "/index.html", 6, 0, "index.html", NULL },
  { "POST", "/api/v1/pools/office/connect", 1, 0, "office", NULL },
  { "POST", "/api/v1/pools/a%20b/connect", 1, 0, "a b", NULL },
  { "POST", "/api/v1/pools/a%2Fb/connect", 1, 0, "a/b", NULL },
  { "POST", "/api/v1/pools//connect", -1, USHER_ERROR_MISSING, NULL, NULL },
  { "GET", "/api/v1/records/pool/office", 2, 0, "pool", "office" },
  { "PUT", "/api/v1/records/pool/office", 3, 0, "pool", "office" },
  { "DELETE", "/api/v1/records/pool/office", -1, USHER_ERROR_INVALID, NULL, NULL },
  { "POST", "/gateway/v1/redeem", -1, USHER_ERROR_MISSING, NULL, NULL },
  { "HEAD", "/api/v1/pools", 5, 0, "v1/pools", NULL },
  { "GET", "/", 6, 0, "", NULL },
  { "GET", "/spice-html5/main.js", 6, 0, "spice-html5/main.js", NULL },
  { "GET", "/../../etc/passwd", 6, 0, "../../etc/passwd", NULL },
  { "GET", "/%2e%2e/%2fetc", 6, 0, "..//etc", NULL },
  { "GET", "/a%00b", -1, USHER_ERROR_INVALID, NULL, NULL },
  { "GET", "/a%zz", -1, USHER_ERROR_INVALID, NULL, NULL },
  { "GET", "/a%0ab", -1, USHER_ERROR_INVALID, NULL, NULL },
  { "GET", "/%ff%fe", -1, USHER_ERROR_INVALID, NULL, NULL },
  { "GET", "", -1, USHER_ERROR_INVALID, NULL, NULL },
  { "GET", "*", -1, USHER_ERROR_INVALID, NULL, NULL },
};

static void
test_find (void **state)
{
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    const Case *c = &cases[i];
    g_auto (GStrv) params = NULL;
    g_autofree char *allowed = NULL;
    g_autoptr (GError) error = NULL;
    const UsherRoute *route = usher_route_find (table, USHER_LISTENER_API, c->method, c->path, &params, &allowed, &error);
    if (c->wanted < 0) {
      assert_null (route);
      assert_int_equal (usher_error_code (error), c->code);
      continue;
    }
    assert_null (error);
    assert_ptr_equal (route, &table[c->wanted]);
    if (c->first != NULL)
      assert_string_equal (params[0], c->first);
    if (c->second != NULL)
      assert_string_equal (params[1], c->second);
  }
}

static void
test_allowed_methods (void **state)
{
  char **params = NULL;
  g_autofree char *allowed = NULL;
  g_autoptr (GError) error = NULL;
  assert_null (usher_route_find (table, USHER_LISTENER_API, "DELETE", "/api/v1/records/pool/x", &params, &allowed, &error));
  assert_string_equal (allowed, "GET, PUT");
}

static void
test_listeners_are_apart (void **state)
{
  char **params = NULL;
  g_autofree char *allowed = NULL;
  g_autoptr (GError) error = NULL;
  assert_null (usher_route_find (table, USHER_LISTENER_HOST, "POST", "/gateway/v1/redeem", &params, &allowed, &error));
  assert_int_equal (usher_error_code (error), USHER_ERROR_MISSING);
  assert_null (allowed);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_find),
    cmocka_unit_test (test_allowed_methods),
    cmocka_unit_test (test_listeners_are_apart),
  };
  cmocka_set_message_output (CM_OUTPUT_TAP);
  return cmocka_run_group_tests (tests, NULL, NULL);
}
