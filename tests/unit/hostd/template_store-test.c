/* Unit tests of hostd/storage/template_store: several roots, and who has a version open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <glib/gstdio.h>

#include "common/error.h"
#include "hostd/storage/command.h"
#include "hostd/storage/template_store.h"

typedef struct {
  char *root, *own, *shared;
  UsherTemplateStore *store;
} Fixture;

static int
set_up (void **state)
{
  Fixture *f = g_new0 (Fixture, 1);
  f->root = g_dir_make_tmp ("usher-templates-XXXXXX", NULL);
  f->own = g_build_filename (f->root, "own", NULL);
  f->shared = g_build_filename (f->root, "shared", NULL);
  f->store = usher_template_store_new (f->own);
  usher_template_store_add_shared (f->store, "/nonexistent");
  usher_template_store_add_shared (f->store, f->shared);
  *state = f;
  return 0;
}

static int
tear_down (void **state)
{
  Fixture *f = *state;
  const char *const argv[] = { "rm", "-rf", f->root, NULL };
  usher_template_store_free (f->store);
  gboolean done = usher_command_run (argv, 10, NULL);
  g_free (f->own);
  g_free (f->shared);
  g_free (f->root);
  g_free (f);
  return !done;
}

/* A version with a kernel; returns its directory. */
static char *
put (const char *root, int version, gboolean whole)
{
  char *dir = g_strdup_printf ("%s/tiny/%d", root, version);
  g_autofree char *manifest = g_build_filename (dir, "manifest.json", NULL);
  g_autofree char *kernel = g_build_filename (dir, "vmlinuz", NULL);
  g_autofree char *text
      = g_strdup_printf ("{\"name\": \"tiny\", \"version\": %d, \"disk\": null, \"boot\": {\"kernel\": \"vmlinuz\", \"initrd\": \"vmlinuz\","
                         " \"cmdline\": \"quiet\"}, \"machine\": \"pc-q35-7.2\", \"guest\": \"linux\", \"video\": \"vga\","
                         " \"minimum\": {\"vcpus\": 1, \"ram_mib\": 64}, \"default\": {\"vcpus\": 1, \"ram_mib\": 64},"
                         " \"ready\": {\"rule\": \"running\", \"timeout_s\": 60}, \"sealed\": []}", version);
  assert_int_equal (g_mkdir_with_parents (dir, 0755), 0);
  assert_true (g_file_set_contents (manifest, text, -1, NULL));
  assert_true (!whole || g_file_set_contents (kernel, "kernel", -1, NULL));
  return dir;
}

static void
assert_opens (const Fixture *f, int version, const char *dir)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (UsherTemplateFiles) files = usher_template_store_open (f->store, "tiny", version, &error);
  assert_null (error);
  assert_string_equal (files->dir, dir);
}

static void
assert_fails (const Fixture *f, int version, int code)
{
  g_autoptr (GError) error = NULL;
  assert_null (usher_template_store_open (f->store, "tiny", version, &error));
  assert_true (g_error_matches (error, USHER_ERROR, code));
}

static void
roots_in_their_order (void **state)
{
  const Fixture *f = *state;
  g_autofree char *here = put (f->own, 1, TRUE);
  assert_opens (f, 1, here);
  g_autofree char *there = put (f->shared, 1, TRUE);
  assert_opens (f, 1, there);
  g_autofree char *broken = put (f->shared, 2, FALSE);
  assert_fails (f, 2, USHER_ERROR_INVALID);
  assert_fails (f, 3, USHER_ERROR_MISSING);
  g_autofree char *mended = put (f->own, 2, TRUE);
  assert_opens (f, 2, mended);
  g_auto (GStrv) all = usher_template_store_list (f->store);
  g_autofree char *names = g_strjoinv (" ", all);
  assert_string_equal (names, "tiny/1 tiny/2");
  assert_string_equal (usher_template_store_get_dir (f->store), f->own);
}

static void
what_is_open_stays (void **state)
{
  const Fixture *f = *state;
  g_autofree char *dir = put (f->own, 1, TRUE);
  UsherTemplateFiles *one = usher_template_store_open (f->store, "tiny", 1, NULL);
  UsherTemplateFiles *two = usher_template_store_open (f->store, "tiny", 1, NULL);
  assert_false (usher_template_store_lock_out (f->store, "tiny", 1));
  usher_template_files_free (one);
  assert_false (usher_template_store_lock_out (f->store, "tiny", 1));
  usher_template_files_free (two);
  assert_true (usher_template_store_lock_out (f->store, "tiny", 1));
  assert_fails (f, 1, USHER_ERROR_UNAVAILABLE);
  usher_template_store_let_in (f->store, "tiny", 1);
  assert_opens (f, 1, dir);
  assert_true (usher_template_store_lock_out (f->store, "tiny", 1));
  usher_template_store_let_in (f->store, "tiny", 1);
}

static void
a_whole_version (void **state)
{
  const Fixture *f = *state;
  g_autofree char *whole = put (f->own, 1, TRUE);
  g_autofree char *half = put (f->own, 2, FALSE);
  assert_true (usher_template_dir_check (whole, "tiny", 1, NULL));
  assert_false (usher_template_dir_check (whole, "tiny", 2, NULL));
  assert_false (usher_template_dir_check (half, "tiny", 2, NULL));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown (roots_in_their_order, set_up, tear_down),
    cmocka_unit_test_setup_teardown (what_is_open_stays, set_up, tear_down),
    cmocka_unit_test_setup_teardown (a_whole_version, set_up, tear_down),
  };
  return cmocka_run_group_tests_name ("hostd/template_store", tests, NULL, NULL);
}
