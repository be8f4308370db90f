/* The portal's files: only what was found below the folder, under its own name, answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <glib/gstdio.h>
#include <string.h>
#include "broker/api/static_files.h"
#include "common/error.h"

static void
put (const char *folder, const char *name, const char *text)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);
  g_autofree char *parent = g_path_get_dirname (path);
  g_assert_cmpint (g_mkdir_with_parents (parent, 0700), ==, 0);
  g_assert_true (g_file_set_contents (path, text, -1, NULL));
}

static void
remove_tree (const char *folder)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  const char *name;
  while ((name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *path = g_build_filename (folder, name, NULL);
    if (g_file_test (path, G_FILE_TEST_IS_DIR))
      remove_tree (path);
    else
      g_unlink (path);
  }
  g_rmdir (folder);
}

static void
answers_only_what_is_there (void **state)
{
  g_autofree char *folder = g_dir_make_tmp ("usher-static-XXXXXX", NULL);
  put (folder, "web/index.html", "<p>hello");
  put (folder, "web/js/app.js", "1;");
  put (folder, "web/.git/config.txt", "hidden");
  put (folder, "web/notes.md", "not a served type");
  put (folder, "secret.txt", "outside");
  g_autofree char *web = g_build_filename (folder, "web", NULL);
  g_autoptr (UsherStaticFiles) files = usher_static_files_new ();
  assert_true (usher_static_files_add (files, "", web, NULL));
  assert_true (usher_static_files_add (files, "/nothing", "", NULL));

  const UsherStaticFile *top = usher_static_files_find (files, "/");
  assert_non_null (top);
  assert_string_equal (top->type, "text/html; charset=utf-8");
  assert_string_equal (top->etag, usher_static_files_find (files, "/index.html")->etag);
  const UsherStaticFile *app = usher_static_files_find (files, "/js/app.js");
  assert_non_null (app);
  assert_string_not_equal (app->etag, top->etag);
  const char *const absent[] = { "", "/js", "/js/", "/../secret.txt", "/js/../index.html", "//index.html", "/.git/config.txt",
                                 "/notes.md", "/js/app.js/", "/secret.txt" };
  for (guint i = 0; i < G_N_ELEMENTS (absent); i++)
    assert_null (usher_static_files_find (files, absent[i]));
  remove_tree (folder);
}

static void
missing_folder_is_an_error (void **state)
{
  g_autoptr (UsherStaticFiles) files = usher_static_files_new ();
  g_autoptr (GError) error = NULL;
  assert_false (usher_static_files_add (files, "", "/nonexistent/portal", &error));
  assert_int_equal (usher_error_code (error), USHER_ERROR_INVALID);
  assert_non_null (strstr (error->message, "/nonexistent/portal"));
}

static void
etags (void **state)
{
  assert_true (usher_etag_matches ("\"a\"", "\"a\""));
  assert_true (usher_etag_matches ("\"b\", W/\"a\"", "\"a\""));
  assert_true (usher_etag_matches ("*", "\"a\""));
  assert_false (usher_etag_matches ("\"b\"", "\"a\""));
  assert_false (usher_etag_matches (NULL, "\"a\""));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (answers_only_what_is_there),
    cmocka_unit_test (missing_folder_is_an_error),
    cmocka_unit_test (etags),
  };
  cmocka_set_message_output (CM_OUTPUT_TAP);
  return cmocka_run_group_tests (tests, NULL, NULL);
}
