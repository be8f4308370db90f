/* Error bodies: what a client is told, and what it is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "broker/api/error_body.h"
#include "common/error.h"
#include "common/json.h"

#define REQUEST "11111111-2222-4333-8444-555555555555"

static void
says_code_message_reasons (void **state)
{
  g_autoptr (GError) error = g_error_new (USHER_ERROR, USHER_ERROR_EXHAUSTED, "no desktop can be had");
  json_auto_t *reasons = json_pack ("[{s:s, s:s}]", "rule", "memory", "message", "kvm1 has 100 MiB left");
  json_auto_t *body = usher_error_body (error, reasons, REQUEST);
  g_autofree char *line = usher_json_to_line (body);
  assert_string_equal (line, "{\"error\":{\"code\":\"exhausted\",\"message\":\"no desktop can be had\",\"reasons\":"
                             "[{\"message\":\"kvm1 has 100 MiB left\",\"rule\":\"memory\"}],\"request\":\"" REQUEST "\"}}");
}

static void
keeps_defects_to_the_log (void **state)
{
  g_autoptr (GError) error = g_error_new (USHER_ERROR, USHER_ERROR_INTERNAL, "syntax error at or near «selct»");
  json_auto_t *body = usher_error_body (error, NULL, REQUEST);
  g_autofree char *line = usher_json_to_line (body);
  assert_null (strstr (line, "selct"));
  assert_non_null (strstr (line, "\"reasons\":[]"));
}

static void
foreign_errors_are_internal (void **state)
{
  g_autoptr (GError) error = g_error_new (G_FILE_ERROR, G_FILE_ERROR_ACCES, "/secret/path");
  json_auto_t *body = usher_error_body (error, NULL, REQUEST);
  const json_t *inner = json_object_get (body, "error");
  assert_string_equal (usher_json_string (inner, "code"), "internal");
  assert_null (strstr (usher_json_string (inner, "message"), "/secret"));
}

static void
broken_text_stays_json (void **state)
{
  g_autoptr (GError) error = g_error_new (USHER_ERROR, USHER_ERROR_INVALID, "path: «%s»", "a\xff\x01");
  json_auto_t *body = usher_error_body (error, NULL, REQUEST);
  assert_non_null (body);
  g_autofree char *line = usher_json_to_line (body);
  assert_true (g_utf8_validate (line, -1, NULL));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (says_code_message_reasons),
    cmocka_unit_test (keeps_defects_to_the_log),
    cmocka_unit_test (foreign_errors_are_internal),
    cmocka_unit_test (broken_text_stays_json),
  };
  cmocka_set_message_output (CM_OUTPUT_TAP);
  return cmocka_run_group_tests (tests, NULL, NULL);
}
