/* usherctl's pure parts: YAML in and out, tables, paths, the table of commands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "common/error.h"
#include "common/json.h"
#include "ctl/command.h"
#include "ctl/progress.h"
#include "ctl/template/image.h"
#include "ctl/yaml_read.h"
#include "ctl/yaml_write.h"
#include <string.h>

static void
test_values (void **state)
{
  static const struct {
    const char *yaml, *json;
  } cases[] = {
    { "a: 1", "{\"a\":1}" },
    { "a: -7", "{\"a\":-7}" },
    { "a: +7", "{\"a\":7}" },
    { "a: 0", "{\"a\":0}" },
    { "a: 1.5", "{\"a\":1.5}" },
    { "a: 1e3", "{\"a\":1000.0}" },
    { "a: 9223372036854775807", "{\"a\":9223372036854775807}" },
    { "a: true", "{\"a\":true}" },
    { "a: yes", "{\"a\":\"yes\"}" },
    { "a: ~", "{\"a\":null}" },
    { "a:", "{\"a\":null}" },
    { "a: ''", "{\"a\":\"\"}" },
    { "a: '1'", "{\"a\":\"1\"}" },
    { "a: \"\\u00e9\"", "{\"a\":\"é\"}" },
    { "a: 1.2.3.4", "{\"a\":\"1.2.3.4\"}" },
    { "a: 0x10", "{\"a\":\"0x10\"}" },
    { "a: .", "{\"a\":\".\"}" },
    { "a: -", NULL },
    { "a: |\n  two\n  lines\n", "{\"a\":\"two\\nlines\\n\"}" },
    { "[1, [2], {b: 3}]", "[1,[2],{\"b\":3}]" },
    { "office-{n}", "\"office-{n}\"" },
    { "a: {}\nb: []", "{\"a\":{},\"b\":[]}" },
    { "{\"kind\": \"pool\"}", "{\"kind\":\"pool\"}" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GPtrArray) documents = usher_yaml_read (cases[i].yaml, strlen (cases[i].yaml), "t", NULL);
    if (cases[i].json == NULL) {
      assert_null (documents);
      continue;
    }
    assert_non_null (documents);
    assert_int_equal (documents->len, 1);
    g_autofree char *json = usher_json_to_line (((UsherYamlDocument *) documents->pdata[0])->value);
    assert_string_equal (json, cases[i].json);
  }
}

static void
test_refusals (void **state)
{
  static const struct {
    const char *yaml, *words;
  } cases[] = {
    { "a: 1\nb: 2\na: 3", "t:3: a is here twice" },
    { "x:\n  a: 1\n  a: 2", "t:3: x.a is here twice" },
    { "a: &b 1", "t:1: an anchor (&b)" },
    { "a: *b", "t:1: an alias (*b)" },
    { "a: !!str 1", "t:1: a tag" },
    { "a: !local x", "t:1: a tag" },
    { "a: 007", "t:1: 007 begins with a zero" },
    { "a: 9223372036854775808", "t:1: 9223372036854775808 is beyond 64 bits" },
    { "a: 1e999", "t:1: 1e999 is too large" },
    { "? [a]\n: 1", "t:1: a key that is not text" },
    { "'': 1", "t:1: a key that is empty" },
    { "a: 1\n\tb: 2", "t:2: not YAML" },
    { "a: [1", "t:2: not YAML" },
    { "a: \"\\0\"", "t:1: text with a NUL" },
    { "a: \xff", "t:1: not YAML" },
    { "a: 1\n---\nb: [", "not YAML" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    assert_null (usher_yaml_read (cases[i].yaml, strlen (cases[i].yaml), "t", &error));
    assert_true (g_error_matches (error, USHER_ERROR, USHER_ERROR_INVALID));
    if (strstr (error->message, cases[i].words) == NULL)
      fail_msg ("«%s» gives «%s», not «%s»", cases[i].yaml, error->message, cases[i].words);
  }
}

static char *
repeat (const char *text, guint times)
{
  GString *out = g_string_new (NULL);
  for (guint i = 0; i < times; i++)
    g_string_append (out, text);
  return g_string_free (out, FALSE);
}

static void
test_limits (void **state)
{
  const struct {
    char *text;
    gboolean good;
  } cases[] = {
    { repeat ("[", 100000), FALSE },           { repeat ("{a: ", 50000), FALSE },  { repeat ("- ", 40), FALSE },
    { repeat ("- x\n", 99000), TRUE },         { repeat ("- x\n", 100001), FALSE }, { repeat ("--- 1\n", 1000), TRUE },
    { repeat ("--- 1\n", 1001), FALSE },       { repeat (" ", 1024 * 1024 + 1), FALSE },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (GPtrArray) documents = usher_yaml_read (cases[i].text, strlen (cases[i].text), "t", &error);
    if ((documents != NULL) != cases[i].good)
      fail_msg ("case %zu: %s", i, error != NULL ? error->message : "was read");
    g_free (cases[i].text);
  }
}

#define POOL "# a pool\nkind: pool\nname: office\nspec:\n  maximum: 0\n  naming: x\n  list:\n    - a: 1\n"

static void
test_documents_and_lines (void **state)
{
  const char *text = "---\n" POOL "---\n---\nkind: host\n";
  g_autoptr (GPtrArray) documents = usher_yaml_read (text, strlen (text), "t", NULL);

  assert_int_equal (documents->len, 2);
  const UsherYamlDocument *pool = documents->pdata[0];
  assert_int_equal (pool->line, 3);
  assert_int_equal (usher_yaml_document_find_line (pool, "pool «office»: spec.maximum: 0 is below 1"), 6);
  assert_int_equal (usher_yaml_document_find_line (pool, "spec.naming: no {n}"), 7);
  assert_int_equal (usher_yaml_document_find_line (pool, "spec.list[0].a: wrong"), 9);
  assert_int_equal (usher_yaml_document_find_line (pool, "spec.template: is missing"), 5);
  assert_int_equal (usher_yaml_document_find_line (pool, "something else"), 3);
  assert_int_equal (usher_yaml_document_find_line (pool, "spec.maximums: x"), 5);
  assert_int_equal (((UsherYamlDocument *) documents->pdata[1])->line, 12);
}

static void
test_writing (void **state)
{
  static const char *const values[] = {
    "{\"a\":\"1\",\"b\":\"true\",\"c\":\"\",\"d\":\"null\",\"e\":\"two\\nlines\",\"f\":\" x \",\"g\":\"- x\",\"h\":\"#\",\"i\":\"a: b\"}",
    "{\"a\":[],\"b\":{},\"c\":[[],[{}]],\"d\":1.5,\"e\":-3,\"f\":null,\"g\":false,\"h\":true}",
    "{\"a\":\"007\",\"b\":\"1e3\",\"c\":\"~\",\"d\":\"é\\u0001\\u0085\",\"e\":\"'\\\"\",\"f\":\"*a\",\"g\":\"&a\",\"h\":\"!a\"}",
    "{\"1\":1,\"true\":2,\"a b\":3,\"- x\":4,\"?\":5}",
  };

  for (gsize i = 0; i < G_N_ELEMENTS (values); i++) {
    json_auto_t *value = usher_json_parse (values[i], strlen (values[i]), "t", NULL);
    g_autofree char *text = usher_yaml_write (value);
    g_autoptr (GPtrArray) documents = usher_yaml_read (text, strlen (text), "t", NULL);
    assert_true (g_str_has_prefix (text, "---"));
    assert_non_null (documents);
    assert_true (json_equal (value, ((UsherYamlDocument *) documents->pdata[0])->value));
  }
}

static void
test_tables (void **state)
{
  json_auto_t *items = json_pack ("[{s:s, s:{s:s, s:i}}, {s:s, s:{s:s}}]", "name", "office", "spec", "template", "tiny",
                                  "maximum", 2, "name", "x\x1b[2J\ny", "spec", "template", "");
  g_autofree char *table = usher_output_records (USHER_OUTPUT_TABLE, "pool", items, TRUE);
  g_autofree char *bare = usher_output_records (USHER_OUTPUT_TABLE, "pool", items, FALSE);
  g_autofree char *names = usher_output_records (USHER_OUTPUT_NAME, "pool", items, TRUE);

  assert_string_equal (table, "NAME     TEMPLATE  CLONE  MAXIMUM  SPARE  MAKING  ASSIGNED  NOTE\n"
                              "office   tiny      -      2        -      -       -         -\n"
                              "x\xef\xbf\xbd[2J y  -         -      -        -      -       -         -\n");
  assert_false (g_str_has_prefix (bare, "NAME"));
  assert_true (g_str_has_prefix (names, "office\n"));
}

static void
test_kinds_and_paths (void **state)
{
  g_autofree char *path = usher_client_path ("records", "pool", "a b/../?x#é", NULL);

  assert_string_equal (usher_kind_find ("Pools"), "pool");
  assert_string_equal (usher_kind_find ("audit"), "audit");
  assert_null (usher_kind_find ("pol"));
  assert_string_equal (path, "/records/pool/a%20b%2F..%2F%3Fx%23%C3%A9");
}

static void
test_servers (void **state)
{
  static const struct {
    const char *server;
    gboolean good;
  } cases[] = {
    { "https://a", TRUE },       { "https://a:8443", TRUE },  { "https://a:8443/", TRUE }, { "https://[::1]:1", TRUE },
    { "unix:/run/a.sock", TRUE }, { "http://a", FALSE },       { "https://", FALSE },       { "a", FALSE },
    { "", FALSE },               { "https://u:p@a", FALSE },  { "https://a/x", FALSE },    { "https://a?x", FALSE },
    { "unix:a", FALSE },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (UsherClient) client = usher_client_new (cases[i].server, NULL, NULL, NULL);
    if ((client != NULL) != cases[i].good)
      fail_msg ("%s", cases[i].server);
  }
}

static void
test_command_table (void **state)
{
  for (const UsherCommand *c = usher_commands; c->name != NULL; c++) {
    assert_true (c->least <= c->most);
    assert_non_null (c->run);
    assert_true (strlen (c->summary) > 10);
    for (const UsherCommand *other = c + 1; other->name != NULL; other++)
      assert_string_not_equal (c->name, other->name);
  }
}

static void
test_progress (void **state)
{
  static const struct {
    UsherProgressState state;
    guint width;
    const char *line;
  } cases[] = {
    { { "disk", 0, 0, 2048, 0, FALSE }, 0, "disk    0%  0 B of 2.0 KiB" },
    { { "disk", 0, 1024, 2048, 1000, FALSE }, 0, "disk   50%  1.0 KiB of 2.0 KiB  1.0 KiB/s  1 s left" },
    { { "disk", 1024, 1536, 2048, 1000, FALSE }, 0, "disk   75%  1.5 KiB of 2.0 KiB  512 B/s  1 s left" },
    { { "disk", 0, G_GUINT64_CONSTANT (1) << 30, G_GUINT64_CONSTANT (3) << 30, 600000, FALSE }, 0,
      "disk   33%  1.0 GiB of 3.0 GiB  1.7 MiB/s  20 min left" },
    { { "disk", 0, 0, 0, 0, FALSE }, 0, "disk  100%  0 B of 0 B" },
    { { "converting", 0, 2500, 10000, 1000, TRUE }, 0, "converting   25%  3 s left" },
    { { "converting", 0, 5000, 10000, 0, TRUE }, 40, "converting  [##########          ]  50%" },
    { { "a-rather-long-name-of-a-file", 0, 0, 2048, 0, FALSE }, 20, "a-rather-long-name-" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *line = usher_progress_line (&cases[i].state, cases[i].width);
    assert_string_equal (line, cases[i].line);
  }
}

static void
test_sizes (void **state)
{
  static const struct {
    guint64 bytes;
    const char *text;
  } cases[] = {
    { 0, "0 B" }, { 1023, "1023 B" }, { 1024, "1.0 KiB" }, { 352387072, "336.1 MiB" }, { G_MAXUINT64, "16777216.0 TiB" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *text = usher_progress_size (cases[i].bytes);
    assert_string_equal (text, cases[i].text);
  }
}

static void
test_names_of_images (void **state)
{
  static const char *const odd[] = { "nbd:x", "nbd://h/x", "json:{}", "file:/x", "fat:rw:/x", "ssh+x://y", "nbd+unix:///x", "a:b/c" };
  static const char *const even[] = { "x", "/a:b", "./nbd:x", "a/b:c", "", ":x", "disk 1:2" };

  for (gsize i = 0; i < G_N_ELEMENTS (odd); i++)
    assert_true (usher_image_name_is_odd (odd[i]));
  for (gsize i = 0; i < G_N_ELEMENTS (even); i++)
    assert_false (usher_image_name_is_odd (even[i]));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_values),  cmocka_unit_test (test_refusals),
    cmocka_unit_test (test_limits),  cmocka_unit_test (test_documents_and_lines),
    cmocka_unit_test (test_writing), cmocka_unit_test (test_tables),
    cmocka_unit_test (test_servers), cmocka_unit_test (test_kinds_and_paths),
    cmocka_unit_test (test_command_table), cmocka_unit_test (test_progress),
    cmocka_unit_test (test_sizes),   cmocka_unit_test (test_names_of_images),
  };

  cmocka_set_message_output (CM_OUTPUT_TAP);
  return cmocka_run_group_tests_name ("ctl", tests, NULL, NULL);
}
