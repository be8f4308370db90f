/* The session cookie and the origin rule against what browsers and strangers send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "broker/api/cookie.h"

#define TOKEN "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNO-_"

static void
finds_only_one_wellformed_token (void **state)
{
  const struct {
    const char *header;
    gboolean found;
  } cases[] = {
    { "usher_session=" TOKEN, TRUE },
    { "a=b; usher_session=" TOKEN "; c=d", TRUE },
    { "a=b;usher_session=" TOKEN, TRUE },
    { NULL, FALSE },
    { "", FALSE },
    { "usher_session=", FALSE },
    { "usher_session=short", FALSE },
    { "usher_session=" TOKEN "x", FALSE },
    { "xusher_session=" TOKEN, FALSE },
    { "usher_session=" TOKEN "; usher_session=" TOKEN, FALSE },
    { "usher_session=\"" TOKEN "\"", FALSE },
  };
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    char token[USHER_TOKEN_SIZE] = "untouched";
    assert_int_equal (usher_cookie_find (cases[i].header, token), cases[i].found);
    assert_string_equal (token, cases[i].found ? TOKEN : "untouched");
  }
}

static void
formats_every_attribute (void **state)
{
  g_autofree char *given = usher_cookie_format (TOKEN, 3600);
  assert_string_equal (given, "usher_session=" TOKEN "; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age=3600");
  g_autofree char *taken = usher_cookie_format (NULL, 0);
  assert_string_equal (taken, "usher_session=; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age=0");
}

static void
origins_are_compared_whole (void **state)
{
  const struct {
    const char *origin;
    gboolean allowed;
  } cases[] = {
    { NULL, TRUE },
    { "https://desk.example:8443", TRUE },
    { "https://DESK.example:8443", TRUE },
    { "http://desk.example:8443", FALSE },
    { "https://desk.example", FALSE },
    { "https://desk.example:8443.evil.example", FALSE },
    { "https://evil.example", FALSE },
    { "null", FALSE },
    { "", FALSE },
    { "https://desk.example:8443@evil.example", FALSE },
  };
  g_autofree char *ours = usher_origin_of ("https://desk.example:8443/portal/");
  assert_string_equal (ours, "https://desk.example:8443");
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++)
    assert_int_equal (usher_origin_allowed (cases[i].origin, ours), cases[i].allowed);
}

static void
default_ports_and_v6 (void **state)
{
  g_autofree char *plain = usher_origin_of ("https://desk.example:443/");
  assert_string_equal (plain, "https://desk.example");
  g_autofree char *v6 = usher_origin_of ("https://[::1]:8443");
  assert_string_equal (v6, "https://[::1]:8443");
  assert_null (usher_origin_of ("ftp://desk.example"));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (finds_only_one_wellformed_token),
    cmocka_unit_test (formats_every_attribute),
    cmocka_unit_test (origins_are_compared_whole),
    cmocka_unit_test (default_ports_and_v6),
  };
  cmocka_set_message_output (CM_OUTPUT_TAP);
  return cmocka_run_group_tests (tests, NULL, NULL);
}
