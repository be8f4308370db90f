/* Unit tests of templates/manifest: what a good one gives, and that each bad one is refused by path. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "common/error.h"
#include "common/json.h"
#include "templates/manifest.h"

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

#define OTHER_SHA "1123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define FILE_TEXT(name, size, sha256) "{\"file\": " name ", \"size\": " size ", \"sha256\": \"" sha256 "\"}"
#define ONE_FILE(name) FILE_TEXT ("\"" name "\"", "5", SHA)
/* A list of files that begins with one that is wrong. */
#define FILES(name, size, sha256) \
  "[" FILE_TEXT (name, size, sha256) "," ONE_FILE ("vmlinuz") "," ONE_FILE ("initrd.img") "]"

static json_t *
good (void)
{
  json_t *document = json_pack (
      "{s:s, s:i, s:{s:s,s:s,s:s,s:I}, s:{s:s,s:s,s:s}, s:s, s:s, s:{s:i,s:i}, s:{s:i,s:i}, s:s, s:{s:s,s:i}, s:[s,s]}",
      "name", "debian-desktop", "version", 3, "disk", "file", "disk.qcow2", "format", "qcow2", "sha256", SHA,
      "virtual_size", (json_int_t) G_GINT64_CONSTANT (8589934592), "boot", "kernel", "vmlinuz", "initrd", "initrd.img",
      "cmdline", "root=/dev/vda quiet", "machine", "pc-q35-7.2", "guest", "linux", "minimum", "vcpus", 1, "ram_mib", 512,
      "default", "vcpus", 2, "ram_mib", 1024, "video", "qxl", "ready", "rule", "agent", "timeout_s", 240, "sealed",
      "machine-id", "ssh-host-keys");
  assert_non_null (document);
  return document;
}

static void
a_good_manifest_is_read (void **state)
{
  json_auto_t *document = good ();
  g_autoptr (GError) error = NULL;
  g_autoptr (UsherTemplateManifest) manifest = usher_template_manifest_parse (document, "m.json", &error);
  assert_null (error);
  assert_non_null (manifest);
  assert_string_equal (manifest->name, "debian-desktop");
  assert_int_equal (manifest->version, 3);
  assert_string_equal (manifest->disk_file, "disk.qcow2");
  assert_string_equal (manifest->disk_sha256, SHA);
  assert_true (manifest->disk_virtual_size == G_GINT64_CONSTANT (8589934592));
  assert_string_equal (manifest->kernel_file, "vmlinuz");
  assert_string_equal (manifest->initrd_file, "initrd.img");
  assert_string_equal (manifest->cmdline, "root=/dev/vda quiet");
  assert_string_equal (manifest->machine, "pc-q35-7.2");
  assert_int_equal (manifest->minimum_vcpus, 1);
  assert_int_equal (manifest->minimum_ram_mib, 512);
  assert_int_equal (manifest->default_vcpus, 2);
  assert_int_equal (manifest->default_ram_mib, 1024);
  assert_string_equal (usher_template_video_name (manifest->video), "qxl");
  assert_string_equal (usher_template_ready_name (manifest->ready), "agent");
  assert_int_equal (manifest->ready_timeout_s, 240);
  assert_int_equal (g_strv_length (manifest->sealed), 2);
  assert_string_equal (manifest->sealed[1], "ssh-host-keys");
  assert_int_equal (manifest->firmware, USHER_TEMPLATE_FIRMWARE_BIOS);
  assert_int_equal (manifest->guest, USHER_TEMPLATE_GUEST_LINUX);
  assert_int_equal (manifest->parent, 0);
  assert_string_equal (manifest->note, "");
  assert_int_equal (manifest->files->len, 0);
}

static void
what_may_be_told_is_read (void **state)
{
  json_auto_t *document = good (), *files = json_loads (FILES ("\"disk.qcow2\"", "70000", SHA), 0, NULL);
  g_autoptr (GError) error = NULL;
  json_object_set_new (document, "firmware", json_string ("uefi"));
  json_object_set_new (document, "guest", json_string ("windows"));
  json_object_set_new (document, "parent", json_integer (2));
  json_object_set_new (document, "note", json_string ("Patches of May.\nNew browser."));
  json_object_set (document, "files", files);
  g_autoptr (UsherTemplateManifest) manifest = usher_template_manifest_parse (document, "m.json", &error);
  assert_null (error);
  assert_string_equal (usher_template_firmware_name (manifest->firmware), "uefi");
  assert_string_equal (usher_template_guest_name (manifest->guest), "windows");
  assert_int_equal (manifest->parent, 2);
  assert_string_equal (manifest->note, "Patches of May.\nNew browser.");
  assert_int_equal (manifest->files->len, 3);
  const UsherTemplateFile *file = manifest->files->pdata[0];
  assert_string_equal (file->name, "disk.qcow2");
  assert_int_equal (file->size, 70000);
  assert_string_equal (file->sha256, SHA);
}

static void
disk_or_boot_may_be_null_but_not_both (void **state)
{
  static const struct { const char *nulls[3]; const char *wrong; } cases[] = {
    { { "disk", NULL }, NULL },
    { { "boot", NULL }, NULL },
    { { "disk", "boot", NULL }, "m.json: boot: " },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      json_auto_t *document = good ();
      g_autoptr (GError) error = NULL;
      for (const char *const *key = cases[i].nulls; *key != NULL; key++)
        json_object_set_new (document, *key, json_null ());
      g_autoptr (UsherTemplateManifest) manifest = usher_template_manifest_parse (document, "m.json", &error);
      if (cases[i].wrong == NULL)
        {
          assert_non_null (manifest);
          assert_true ((manifest->disk_file == NULL) != (manifest->kernel_file == NULL));
          assert_true ((manifest->disk_file == NULL) == (manifest->disk_sha256 == NULL));
          assert_true ((manifest->kernel_file == NULL) == (manifest->cmdline == NULL));
        }
      else
        {
          assert_null (manifest);
          assert_true (g_str_has_prefix (error->message, cases[i].wrong));
        }
    }
}

/* Each case puts `value` (JSON text; NULL removes the member) at `path` of a good manifest; the error must say `says`. */
static const struct { const char *path, *value, *says; } refused[] = {
  { "name", NULL, "m.json: name: " },
  { "name", "7", "m.json: name: " },
  { "name", "\"\"", "m.json: name: " },
  { "name", "\"-a\"", "m.json: name: " },
  { "name", "\"a-\"", "m.json: name: " },
  { "name", "\"../a\"", "m.json: name: " },
  { "name", "\"Office\"", "m.json: name: " },
  { "name", "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"", "m.json: name: " },
  { "version", "0", "m.json: version: " },
  { "version", "\"1\"", "m.json: version: " },
  { "extra", "1", "extra" },
  { "disk", NULL, "m.json: disk: " },
  { "disk", "[]", "m.json: disk: " },
  { "disk.file", "\"a/b\"", "m.json: disk.file: " },
  { "disk.file", "\"..\"", "m.json: disk.file: " },
  { "disk.file", "\".hidden\"", "m.json: disk.file: " },
  { "disk.file", "\"\"", "m.json: disk.file: " },
  { "disk.file", "\"a,b\"", "m.json: disk.file: " },
  { "disk.file", "null", "m.json: disk.file: " },
  { "disk.format", "\"raw\"", "m.json: disk.format: must be one of qcow2" },
  { "disk.sha256", "\"abc\"", "m.json: disk.sha256: " },
  { "disk.sha256", "\"0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef\"", "m.json: disk.sha256: " },
  { "disk.virtual_size", "1000", "m.json: disk.virtual_size: must be a multiple" },
  { "disk.virtual_size", "0", "m.json: disk.virtual_size: " },
  { "disk.virtual_size", "1e9", "m.json: disk.virtual_size: " },
  { "disk.more", "1", "more" },
  { "boot", NULL, "m.json: boot: " },
  { "boot.kernel", "\"/boot/vmlinuz\"", "m.json: boot.kernel: " },
  { "boot.initrd", NULL, "m.json: boot.initrd: " },
  { "boot.cmdline", "\"a\\nb\"", "m.json: boot.cmdline: " },
  { "boot.cmdline", "\"LONG\"", "m.json: boot.cmdline: " },
  { "boot.shell", "1", "shell" },
  { "machine", "\"q35\"", "m.json: machine: " },
  { "machine", "\"pc-q35-7.2,accel=kvm\"", "m.json: machine: " },
  { "guest", "\"beos\"", "m.json: guest: must be one of linux | windows | other" },
  { "firmware", "\"coreboot\"", "m.json: firmware: must be one of bios | uefi" },
  { "firmware", "null", "m.json: firmware: " },
  { "parent", "3", "m.json: parent: must be lower than version (3)" },
  { "parent", "0", "m.json: parent: " },
  { "parent", "\"2\"", "m.json: parent: " },
  { "note", "1", "m.json: note: " },
  { "note", "\"a\\u0007\"", "m.json: note: must not hold control characters" },
  { "note", "\"LONG\"", "m.json: note: must be of at most" },
  { "files", "{}", "m.json: files: must be a list" },
  { "files", "[]", "m.json: files: must be a list" },
  { "files", "[1]", "m.json: files[0]: must be an object" },
  { "files", FILES ("\"disk.qcow2\"", "0", SHA), "m.json: files[0].size: " },
  { "files", FILES ("\"disk.qcow2\"", "5", "short"), "m.json: files[0].sha256: " },
  { "files", FILES ("\"../disk\"", "5", SHA), "m.json: files[0].file: " },
  { "files", FILES ("\"manifest.json\"", "5", SHA), "m.json: files[0].file: " },
  { "files", FILES ("\"disk.qcow2\", \"more\": 1", "5", SHA), "more" },
  { "files", FILES ("\"other\"", "5", SHA), "m.json: files: must name disk.qcow2 once, not 0 times" },
  { "files", FILES ("\"disk.qcow2\"", "5", OTHER_SHA), "m.json: files: disk.qcow2 has another sha256 than disk.sha256" },
  { "files", "[" ONE_FILE ("vmlinuz") "," ONE_FILE ("initrd.img") "," ONE_FILE ("vmlinuz") "]",
    "m.json: files: must name disk.qcow2 once, not 0 times" },
  { "minimum", NULL, "m.json: minimum: " },
  { "minimum.vcpus", "0", "m.json: minimum.vcpus: " },
  { "minimum.ram_mib", "63", "m.json: minimum.ram_mib: " },
  { "minimum.disk", "1", "disk" },
  { "minimum.vcpus", "3", "m.json: default.vcpus: must be at least minimum.vcpus (3)" },
  { "default.ram_mib", "511", "m.json: default.ram_mib: must be at least minimum.ram_mib (512)" },
  { "video", "\"cirrus\"", "m.json: video: must be one of qxl | virtio | vga" },
  { "ready.rule", "\"hope\"", "m.json: ready.rule: must be one of agent | running" },
  { "ready.timeout_s", "0", "m.json: ready.timeout_s: " },
  { "ready.timeout_s", "true", "m.json: ready.timeout_s: " },
  { "sealed", "{}", "m.json: sealed: " },
  { "sealed", "[\"a\", 1]", "m.json: sealed[1]: " },
  { "sealed", "[\"a b\"]", "m.json: sealed[0]: " },
};

static void
put (json_t *document, const char *path, const char *value)
{
  g_auto (GStrv) steps = g_strsplit (path, ".", 2);
  json_t *object = steps[1] != NULL ? json_object_get (document, steps[0]) : document;
  const char *key = steps[1] != NULL ? steps[1] : steps[0];
  g_autofree char *long_line = g_strnfill (USHER_TEMPLATE_CMDLINE_MAX + 1, 'x');
  if (value == NULL)
    json_object_del (object, key);
  else if (g_str_equal (value, "\"LONG\""))
    json_object_set_new (object, key, json_string (long_line));
  else
    json_object_set_new (object, key, json_loads (value, JSON_DECODE_ANY, NULL));
}

static void
each_wrong_member_is_named (void **state)
{
  for (gsize i = 0; i < G_N_ELEMENTS (refused); i++)
    {
      json_auto_t *document = good ();
      g_autoptr (GError) error = NULL;
      put (document, refused[i].path, refused[i].value);
      g_autoptr (UsherTemplateManifest) manifest = usher_template_manifest_parse (document, "m.json", &error);
      if (manifest != NULL)
        fail_msg ("%s = %s was accepted", refused[i].path, refused[i].value);
      assert_true (g_error_matches (error, USHER_ERROR, USHER_ERROR_INVALID));
      if (strstr (error->message, refused[i].says) == NULL)
        fail_msg ("%s = %s: «%s» does not say «%s»", refused[i].path, refused[i].value, error->message, refused[i].says);
    }
}

static void
what_is_no_object_is_refused (void **state)
{
  static const char *const texts[] = { "[]", "null", "1", "\"x\"" };
  for (gsize i = 0; i < G_N_ELEMENTS (texts); i++)
    {
      json_auto_t *document = json_loads (texts[i], JSON_DECODE_ANY, NULL);
      g_autoptr (GError) error = NULL;
      assert_null (usher_template_manifest_parse (document, "m.json", &error));
      assert_true (g_error_matches (error, USHER_ERROR, USHER_ERROR_INVALID));
    }
}

static void
names_follow_their_rule (void **state)
{
  assert_true (usher_template_name_is_valid ("tiny"));
  assert_true (usher_template_name_is_valid ("a"));
  assert_true (usher_template_name_is_valid ("0-1"));
  assert_false (usher_template_name_is_valid (NULL));
  assert_false (usher_template_name_is_valid (""));
  assert_false (usher_template_name_is_valid ("."));
  assert_false (usher_template_name_is_valid ("a_b"));
  assert_true (usher_template_file_is_valid ("disk.qcow2"));
  assert_false (usher_template_file_is_valid (NULL));
  assert_false (usher_template_file_is_valid (".lock"));
  assert_false (usher_template_file_is_valid ("manifest.json"));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (a_good_manifest_is_read),
    cmocka_unit_test (what_may_be_told_is_read),
    cmocka_unit_test (disk_or_boot_may_be_null_but_not_both),
    cmocka_unit_test (each_wrong_member_is_named),
    cmocka_unit_test (what_is_no_object_is_refused),
    cmocka_unit_test (names_follow_their_rule),
  };
  return cmocka_run_group_tests_name ("templates/manifest", tests, NULL, NULL);
}
