/* What begins an upload, and what becomes of it in the version's manifest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "broker/images/wish.h"
#include "common/checksum.h"
#include "common/error.h"
#include "templates/manifest.h"

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const UsherImages limits = { .upload_max = 1000, .disk_max = 1 << 24 };

static json_t *
body (const char *extra)
{
  g_autofree char *text = g_strdup_printf (
      "{'manifest': {'name': 'tiny', 'disk': {'file': 'd.qcow2', 'format': 'qcow2', 'sha256': '" SHA "', 'virtual_size': 1048576}, "
      "'boot': {'kernel': 'k', 'initrd': 'i', 'cmdline': 'quiet'}, 'machine': 'pc-q35-7.2', 'guest': 'linux', 'video': 'qxl', "
      "'minimum': {'vcpus': 1, 'ram_mib': 64}, 'default': {'vcpus': 1, 'ram_mib': 64}, 'ready': {'rule': 'agent', 'timeout_s': 9}, "
      "'sealed': [], 'note': 'of the recipe'}, 'files': [{'file': 'k', 'size': 2, 'sha256': '" SHA "'}, "
      "{'file': 'i', 'size': 3, 'sha256': '" SHA "'}, {'file': 'd.qcow2', 'size': 900, 'sha256': '" SHA "'}]%s}", extra);
  json_t *value = json_loads (g_strdelimit (text, "'", '"'), 0, NULL);
  assert_non_null (value);
  return value;
}

static UsherImageWish *
parse (const json_t *document, GError **error)
{
  return usher_image_wish_parse ((UsherJson){ document, "body" }, "tiny", &limits, error);
}

static void
a_wish_becomes_a_manifest (void **state)
{
  json_auto_t *document = body (", 'parent_version': 4");
  g_autoptr (GError) error = NULL;
  g_autoptr (UsherImageWish) wish = parse (document, &error);
  assert_null (error);
  assert_string_equal (wish->note, "of the recipe");
  assert_null (json_object_get (wish->manifest, "note"));
  UsherUpload upload = { .template = (char *) "tiny", .manifest = wish->manifest, .files = wish->files, .note = wish->note,
                         .parent = 4, .version = 5 };
  g_autofree char *text = usher_image_manifest_text (&upload);
  json_auto_t *whole = usher_json_parse (text, strlen (text), "m", NULL);
  g_autoptr (UsherTemplateManifest) manifest = usher_template_manifest_parse (whole, "m", &error);
  assert_null (error);
  assert_int_equal (manifest->version, 5);
  assert_int_equal (manifest->parent, 4);
  assert_int_equal (manifest->files->len, 3);
  assert_string_equal (manifest->note, "of the recipe");
  json_auto_t *files = usher_image_files (&upload, text);
  assert_int_equal (json_array_size (files), 4);
  assert_string_equal (usher_json_string (json_array_get (files, 0), "file"), "manifest.json");
  assert_int_equal (usher_json_int (json_array_get (files, 0), "size"), strlen (text));
}

/* The same in another order, or with another note, is the same; another parent is not. */
static void
the_same_is_known_again (void **state)
{
  json_auto_t *one = body (""), *other = body (", 'note': 'told'"), *child = body (", 'parent_version': 2");
  json_t *files = json_object_get (other, "files");
  json_array_append (files, json_array_get (files, 0));
  json_array_remove (files, 0);
  g_autoptr (UsherImageWish) a = parse (one, NULL), b = parse (other, NULL), c = parse (child, NULL);
  assert_string_equal (a->digest, b->digest);
  assert_string_equal (b->note, "told");
  assert_string_not_equal (a->digest, c->digest);
}

static void
wrong_ones_are_refused (void **state)
{
  static const struct {
    const char *extra, *path, *value;
    UsherError code;
    const char *says;
  } cases[] = {
    { "", "manifest.version", "1", USHER_ERROR_INVALID, "body.manifest: version" },
    { "", "manifest.name", "\"other\"", USHER_ERROR_INVALID, "body.manifest: name" },
    { "", "manifest.machine", "\"q35\"", USHER_ERROR_INVALID, "body.manifest: machine" },
    { "", "files", "[]", USHER_ERROR_INVALID, "body.manifest: files" },
    { "", "files", "3", USHER_ERROR_INVALID, "body.files" },
    { "", "note", "3", USHER_ERROR_INVALID, "body.note" },
    { "", "parent_version", "0", USHER_ERROR_INVALID, "body.parent_version" },
    { "", "more", "0", USHER_ERROR_INVALID, "more" },
    { "", "manifest.more", "0", USHER_ERROR_INVALID, "more" },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    json_auto_t *document = body (cases[i].extra);
    g_auto (GStrv) path = g_strsplit (cases[i].path, ".", 2);
    json_object_set_new (path[1] != NULL ? json_object_get (document, path[0]) : document, path[1] != NULL ? path[1] : path[0],
                         json_loads (cases[i].value, JSON_DECODE_ANY, NULL));
    g_autoptr (GError) error = NULL;
    assert_null (parse (document, &error));
    assert_int_equal (error->code, cases[i].code);
    if (strstr (error->message, cases[i].says) == NULL)
      fail_msg ("«%s» does not say «%s»", error->message, cases[i].says);
  }
}

static void
limits_hold (void **state)
{
  const UsherImages small = { .upload_max = 904, .disk_max = 1 << 24 }, flat = { .upload_max = 1000, .disk_max = 1000000 };
  json_auto_t *document = body ("");
  const UsherImages *const cases[] = { &small, &flat };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    assert_null (usher_image_wish_parse ((UsherJson){ document, "body" }, "tiny", cases[i], &error));
    assert_true (g_error_matches (error, USHER_ERROR, USHER_ERROR_TOO_LARGE));
  }
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (a_wish_becomes_a_manifest),
    cmocka_unit_test (the_same_is_known_again),
    cmocka_unit_test (wrong_ones_are_refused),
    cmocka_unit_test (limits_hold),
  };
  return cmocka_run_group_tests_name ("broker/images/wish", tests, NULL, NULL);
}
