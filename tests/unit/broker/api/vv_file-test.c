/* The viewer file: read back as virt-viewer reads it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "broker/api/vv_file.h"

static void
reads_back (void **state)
{
  const UsherViewerFile file = { .host = "desk.example", .port = 8443, .ticket = "TICKET",
                                 .ca_pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                                 .host_subject = "O=Usher,CN=gateway", .title = "office; [1]\ntype=vnc" };
  g_autofree char *text = usher_viewer_file_write (&file);
  assert_true (g_str_has_prefix (text, "[virt-viewer]\ntype=spice\n"));
  assert_non_null (strstr (text, "\nca=-----BEGIN CERTIFICATE-----\\nAAAA\\n-----END CERTIFICATE-----\\n\n"));
  g_autoptr (GKeyFile) keys = g_key_file_new ();
  assert_true (g_key_file_load_from_data (keys, text, strlen (text), G_KEY_FILE_NONE, NULL));
  const char *const wanted[][2] = {
    { "type", "spice" }, { "host", "desk.example" }, { "tls-port", "8443" }, { "password", "TICKET" },
    { "ca", file.ca_pem }, { "host-subject", "O=Usher,CN=gateway" }, { "title", file.title },
    { "delete-this-file", "1" }, { "secure-channels", "all" },
  };
  for (guint i = 0; i < G_N_ELEMENTS (wanted); i++) {
    g_autofree char *value = g_key_file_get_string (keys, "virt-viewer", wanted[i][0], NULL);
    assert_string_equal (value, wanted[i][1]);
  }
}

static void
leaves_out_what_is_not_given (void **state)
{
  const UsherViewerFile file = { .host = "h", .port = 1, .ticket = "t", .title = "x" };
  g_autofree char *text = usher_viewer_file_write (&file);
  assert_null (strstr (text, "\nca="));
  assert_null (strstr (text, "\nhost-subject="));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (reads_back),
    cmocka_unit_test (leaves_out_what_is_not_given),
  };
  cmocka_set_message_output (CM_OUTPUT_TAP);
  return cmocka_run_group_tests (tests, NULL, NULL);
}
