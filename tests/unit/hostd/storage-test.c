/* Unit tests of hostd/storage: the record, the directory of a desktop at each stage, the console file, commands, and
 * the host's figures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <glib/gstdio.h>
#include <string.h>

#include "common/error.h"
#include "common/json.h"
#include "hostd/host_info.h"
#include "hostd/join/join.h"
#include "hostd/settings.h"
#include "hostd/storage/command.h"
#include "hostd/storage/console_file.h"
#include "hostd/storage/record.h"
#include "hostd/sync/client.h"

#define ID "0f8fad5b-d9cb-469f-a165-70867728950e"

static int
make_dir (void **state)
{
  *state = g_dir_make_tmp ("usher-storage-XXXXXX", NULL);
  return *state == NULL;
}

static int
remove_dir (void **state)
{
  g_autoptr (GError) error = NULL;
  const char *const argv[] = { "rm", "-rf", *state, NULL };
  gboolean done = usher_command_run (argv, 10, &error);
  g_free (*state);
  return !done;
}

static UsherDesktopRecord
record (void)
{
  return (UsherDesktopRecord) { .name = (char *) "office-1", .template_name = (char *) "tiny", .template_version = 2, .vcpus = 1,
                                .ram_mib = 256, .has_disk = TRUE, .ready = USHER_TEMPLATE_READY_RUNNING, .ready_timeout_s = 60,
                                .starts = 3, .started_at = 1700000000, .restart_revision = 4, .reason = (char *) "crashed",
                                .system_revision = 5, .data_gib = 10, .clone = USHER_CLONE_LINKED, .making = TRUE,
                                .clone_reason = (char *) "no agent", .user = (char *) "alice" };
}

static void
a_record_is_read_back (void **state)
{
  UsherDesktopRecord from = record ();
  g_autoptr (GError) error = NULL;
  json_auto_t *json = usher_desktop_record_to_json (&from);
  g_autoptr (UsherDesktopRecord) read = usher_desktop_record_from_json (json, "x", &error);
  json_auto_t *again = usher_desktop_record_to_json (read);
  assert_true (json_equal (json, again));
  assert_string_equal (read->user, "alice");
  json_object_del (json, "vcpus");
  assert_null (usher_desktop_record_from_json (json, "x", &error));
  assert_non_null (strstr (error->message, "x.vcpus"));
}

static UsherDesktopFiles
look (UsherDesktopDirs *dirs)
{
  UsherDesktopFiles files;
  assert_true (usher_desktop_dirs_look (dirs, ID, &files, NULL));
  return files;
}

static void
stages_of_a_directory (void **state)
{
  g_autoptr (UsherDesktopDirs) dirs = usher_desktop_dirs_new (*state, 0);
  g_autofree char *dir = usher_desktop_dirs_dup_path (dirs, ID, NULL);
  g_autofree char *disk = usher_desktop_dirs_dup_path (dirs, ID, "disk.qcow2");
  g_autofree char *file = usher_desktop_dirs_dup_path (dirs, ID, "desktop.json");
  UsherDesktopRecord one = record ();
  g_auto (GStrv) none = usher_desktop_dirs_list (dirs, NULL);
  assert_int_equal (g_strv_length (none), 0);
  assert_false (look (dirs).exists);

  g_mkdir (dir, 0700);
  assert_true (look (dirs).exists && look (dirs).record == NULL);
  assert_true (usher_desktop_dirs_write_record (dirs, ID, &one, NULL));
  UsherDesktopFiles lost = look (dirs);
  assert_true (lost.record != NULL && lost.disk_lost);
  usher_desktop_files_clear (&lost);
  assert_true (g_file_set_contents (disk, "x", 1, NULL));
  UsherDesktopFiles made = look (dirs);
  assert_true (made.record != NULL && !made.disk_lost && !made.damaged);
  usher_desktop_files_clear (&made);
  assert_true (g_file_set_contents (file, "{\"name\":", -1, NULL));
  assert_true (look (dirs).damaged && look (dirs).record == NULL);

  g_auto (GStrv) ids = usher_desktop_dirs_list (dirs, NULL);
  assert_int_equal (g_strv_length (ids), 1);
  assert_true (usher_desktop_dirs_remove (dirs, ID, NULL));
  assert_false (look (dirs).exists);
  assert_true (usher_desktop_dirs_remove (dirs, ID, NULL)); /* may be repeated */
}

static void
console_files (void **state)
{
  g_autofree char *path = g_build_filename (*state, ID, NULL);
  g_autofree char *text = NULL;
  assert_true (usher_console_file_set (*state, ID, 0, NULL));
  assert_true (usher_console_file_set (*state, ID, 5901, NULL));
  assert_true (g_file_get_contents (path, &text, NULL, NULL));
  assert_string_equal (text, "{\"spice\":{\"host\":\"127.0.0.1\",\"port\":5901}}\n");
  g_auto (GStrv) ids = usher_console_files_list (*state, NULL);
  assert_int_equal (g_strv_length (ids), 1);
  assert_true (usher_console_file_set (*state, ID, 0, NULL));
  assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
}

static void
commands (void **state)
{
  static const struct {
    const char *argv[4];
    int code;
    const char *word;
  } cases[] = {
    { { "sh", "-c", "echo no such thing >&2; exit 3" }, USHER_ERROR_INTERNAL, "no such thing" },
    { { "sh", "-c", "echo 'x: No space left on device' >&2; exit 1" }, USHER_ERROR_EXHAUSTED, "No space" },
    { { "usher-no-such-program" }, USHER_ERROR_UNAVAILABLE, "usher-no-such-program" },
    { { "sh", "-c", "exec sleep 100" }, USHER_ERROR_UNAVAILABLE, "within 1 s" },
    { { "sh", "-c", "kill -9 $$" }, USHER_ERROR_INTERNAL, "does not say why" },
  };
  const char *const good[] = { "true", NULL };
  assert_true (usher_command_run (good, 5, NULL));
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GError) error = NULL;
      assert_false (usher_command_run (cases[i].argv, 1, &error));
      assert_true (g_error_matches (error, USHER_ERROR, cases[i].code));
      assert_non_null (strstr (error->message, cases[i].word));
    }
}

static void
the_processor_decides (void **state)
{
  assert_true (usher_host_cpu_has_virtualisation ("processor : 0\nflags\t\t: fpu vmx sse\n"));
  assert_true (usher_host_cpu_has_virtualisation ("flags : fpu svm\n"));
  assert_false (usher_host_cpu_has_virtualisation ("flags : fpu vmx_not svml\nbugs : vmx\n"));
  assert_false (usher_host_cpu_has_virtualisation (""));
  assert_string_equal (usher_host_domain_type ("kvm", "test:///default"), "test");
  assert_string_equal (usher_host_domain_type ("kvm", "qemu:///system"), "kvm");
  assert_string_equal (usher_host_domain_type ("qemu", "qemu:///system"), "qemu");
}

static void
memory_is_found (void **state)
{
  static const char text[] = "MemTotal:       2097152 kB\nMemAvailable:   1048576 kB\n";
  assert_int_equal (usher_host_meminfo_mib (text, "MemTotal"), 2048);
  assert_int_equal (usher_host_meminfo_mib (text, "MemAvailable"), 1024);
  assert_int_equal (usher_host_meminfo_mib (text, "Mem"), 0);
}

static void
sync_pauses (void **state)
{
  assert_int_equal (usher_sync_backoff_ms (1, 0), 250);
  assert_int_equal (usher_sync_backoff_ms (1, 1), 500);
  assert_int_equal (usher_sync_backoff_ms (6, 1), 15000);
  assert_int_equal (usher_sync_backoff_ms (G_MAXUINT, 0), 7500);
}

static void
tokens_name_their_ca (void **state)
{
  static const char hash[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
  g_autofree char *good = g_strconcat ("secret.", hash, NULL);
  g_autofree char *empty = g_strconcat (".", hash, NULL);
  g_autofree char *upper = g_ascii_strup (good, -1);
  assert_string_equal (usher_join_token_hash (good), hash);
  assert_null (usher_join_token_hash (empty));
  assert_null (usher_join_token_hash (upper));
  assert_null (usher_join_token_hash ("secret"));
  assert_null (usher_join_token_hash ("secret.abc"));
}

static void
settings_have_their_fallbacks (void **state)
{
  static const char text[] = "[hostd]\nrun_dir = /r\n[door]\nlisten = 10.0.0.1:8445\n";
  g_autoptr (UsherSettings) settings = usher_settings_parse (usher_hostd_schema, "x", text, sizeof text - 1, NULL);
  g_autofree char *consoles = usher_hostd_settings_dup_consoles_dir (settings);
  assert_string_equal (consoles, "/r/consoles");
  assert_string_equal (usher_hostd_settings_door (settings), "10.0.0.1:8445");
  assert_string_equal (usher_hostd_settings_name (settings), g_get_host_name ());
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (a_record_is_read_back),
    cmocka_unit_test_setup_teardown (stages_of_a_directory, make_dir, remove_dir),
    cmocka_unit_test_setup_teardown (console_files, make_dir, remove_dir),
    cmocka_unit_test (commands),
    cmocka_unit_test (the_processor_decides),
    cmocka_unit_test (memory_is_found),
    cmocka_unit_test (sync_pauses),
    cmocka_unit_test (tokens_name_their_ca),
    cmocka_unit_test (settings_have_their_fallbacks),
  };
  return cmocka_run_group_tests_name ("hostd/storage", tests, NULL, NULL);
}
