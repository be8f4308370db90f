/* Unit tests of hostd/images: the rate, what goes, what the broker may name, and what stands on what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/json.h"
#include "hostd/images/bucket.h"
#include "hostd/images/evict.h"
#include "hostd/images/images.h"
#include "hostd/images/standing.h"
#include "hostd/images/wanted.h"
#include "hostd/storage/command.h"
#include "hostd/storage/record.h"

#define SECOND G_USEC_PER_SEC
#define SUM "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

/* ---- the rate ---- */

static void
a_rate_is_kept (void **state)
{
  UsherBucket bucket = usher_bucket_new (1000, 0);
  assert_int_equal (usher_bucket_take (&bucket, 250, 0), 0); /* the burst */
  assert_int_equal (usher_bucket_take (&bucket, 500, 0), SECOND / 2);
  assert_int_equal (usher_bucket_take (&bucket, 0, SECOND / 2), 0);
  assert_int_equal (usher_bucket_take (&bucket, 1000, SECOND / 2), SECOND);
  /* a long pause saves no more than the burst; a clock that stands still, or goes back, gives nothing */
  assert_int_equal (usher_bucket_take (&bucket, 250, 1000 * (gint64) SECOND), 0);
  assert_int_equal (usher_bucket_take (&bucket, 1000, 999 * (gint64) SECOND), SECOND);
}

static void
over_time_it_is_the_rate (void **state)
{
  UsherBucket bucket = usher_bucket_new (10 * 1024 * 1024, 0);
  gint64 now = 0, passed = 0;
  while (now < 60 * (gint64) SECOND)
    {
      gint64 bytes = 1 + (passed * 7919) % 300000;
      passed += bytes;
      now += usher_bucket_take (&bucket, bytes, now) + passed % 50;
    }
  assert_in_range (passed, (LargestIntegralType) 60 * 10 * 1024 * 1024 * 98 / 100, (LargestIntegralType) 60 * 10 * 1024 * 1024 * 102 / 100);
}

static void
no_rate_is_no_limit (void **state)
{
  UsherBucket bucket = usher_bucket_new (0, 0);
  assert_int_equal (usher_bucket_take (&bucket, G_MAXINT64, 0), 0);
}

/* ---- what goes ---- */

typedef struct {
  const char *what;
  gint64 keep_s, short_bytes;
  UsherFetched versions[3];
  const char *goes; /* which of them, in their order */
} Case;

#define V(number, size, wanted, used) { .version = number, .bytes = size, .wanted_at = wanted, .in_use = used }

static const Case cases[] = {
  { "all in use", 0, 1000, { V (1, 10, 0, TRUE), V (2, 10, 0, TRUE), V (3, 10, 0, TRUE) }, "" },
  { "old ones go", 100, 0, { V (1, 10, 899, FALSE), V (2, 10, 900, FALSE), V (3, 10, 901, FALSE) }, "12" },
  { "nothing is kept", 0, 0, { V (1, 10, 1000, FALSE), V (2, 10, 1000, TRUE), V (3, 10, 999, FALSE) }, "13" },
  { "short: the least recently wanted first", 1000, 15, { V (1, 10, 800, FALSE), V (2, 10, 700, FALSE), V (3, 10, 900, FALSE) }, "12" },
  { "short, and one is enough", 1000, 5, { V (1, 10, 800, FALSE), V (2, 10, 700, FALSE), V (3, 10, 900, FALSE) }, "2" },
  { "short: what is in use stays", 1000, 100, { V (1, 10, 800, TRUE), V (2, 10, 700, TRUE), V (3, 10, 900, FALSE) }, "3" },
  { "short, and an old one frees enough", 100, 5, { V (1, 10, 950, FALSE), V (2, 10, 500, FALSE), V (3, 10, 990, FALSE) }, "2" },
  { "of the future", 100, 0, { V (1, 10, 2000, FALSE), V (2, 10, 1000, FALSE), V (3, 10, 3000, FALSE) }, "" },
};

static void
who_goes (void **state)
{
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GPtrArray) all = g_ptr_array_new ();
      UsherFetched versions[3];
      char goes[4] = "", name[] = "tiny";
      guint count = 0;
      for (guint j = 0; j < G_N_ELEMENTS (versions); j++)
        {
          versions[j] = cases[i].versions[j];
          versions[j].name = name;
          g_ptr_array_add (all, &versions[j]);
        }
      usher_evict_decide (all, 1000, cases[i].keep_s, cases[i].short_bytes);
      for (guint j = 0; j < G_N_ELEMENTS (versions); j++)
        if (versions[j].goes)
          goes[count++] = (char) ('0' + versions[j].version);
      if (!g_str_equal (goes, cases[i].goes))
        fail_msg ("%s: «%s» go, not «%s»", cases[i].what, goes, cases[i].goes);
    }
}

/* ---- what the broker names ---- */

static void
add (UsherWantedVersion *version, const char *name, gint64 size, const char *sha256)
{
  UsherImageFile *file = g_new0 (UsherImageFile, 1);
  *file = (UsherImageFile) { g_strdup (name), size, g_strdup (sha256) };
  g_ptr_array_add (version->files, file);
}

static void
good_versions_are_taken (void **state)
{
  UsherWantedVersion *version = usher_wanted_version_new ("tiny", 2);
  add (version, "disk.qcow2", 4000, SUM);
  add (version, "manifest.json", 600, SUM);
  assert_true (usher_wanted_version_check (version, NULL));
  assert_int_equal (usher_wanted_version_bytes (version), 4600);
  UsherWantedVersion *copy = usher_wanted_version_copy (version);
  assert_true (usher_wanted_version_equal (copy, version));
  assert_string_equal (((UsherImageFile *) copy->files->pdata[0])->name, "manifest.json");
  ((UsherImageFile *) version->files->pdata[0])->size++;
  assert_false (usher_wanted_version_equal (copy, version));
  usher_wanted_version_free (copy);
  usher_wanted_version_free (version);
}

static void
bad_versions_are_refused (void **state)
{
  static const struct {
    const char *name, *file, *sha256;
    gint64 version, size;
    const char *word;
  } bad[] = {
    { "../tiny", "disk.qcow2", SUM, 1, 1, "../tiny" },        { "", "disk.qcow2", SUM, 1, 1, "no template's" },
    { "tiny", "disk.qcow2", SUM, 0, 1, "tiny/0" },            { "tiny", "../disk", SUM, 1, 1, "../disk" },
    { "tiny", "a/b", SUM, 1, 1, "a/b" },                      { "tiny", ".fetched", SUM, 1, 1, ".fetched" },
    { "tiny", "", SUM, 1, 1, "plain" },                       { "tiny", "manifest.json", SUM, 1, 1, "twice" },
    { "tiny", "disk", "0123", 1, 1, "SHA-256" },              { "tiny", "disk", SUM "0", 1, 1, "SHA-256" },
    { "tiny", "disk", SUM, 1, 0, "size" },                    { "tiny", "disk", SUM, 1, G_MAXINT64, "size" },
    { "tiny", "disk", SUM, 1, USHER_IMAGE_BYTES_MAX, "too large" },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr (GError) error = NULL;
      UsherWantedVersion *version = usher_wanted_version_new (bad[i].name, bad[i].version);
      add (version, "manifest.json", 600, SUM);
      add (version, bad[i].file, bad[i].size, bad[i].sha256);
      assert_false (usher_wanted_version_check (version, &error));
      assert_true (g_error_matches (error, USHER_ERROR, USHER_ERROR_INVALID));
      if (strstr (error->message, bad[i].word) == NULL)
        fail_msg ("«%s» does not say «%s»", error->message, bad[i].word);
      usher_wanted_version_free (version);
    }
}

static void
a_manifest_there_must_be_and_not_too_many (void **state)
{
  g_autoptr (GError) error = NULL;
  UsherWantedVersion *version = usher_wanted_version_new ("tiny", 1);
  assert_false (usher_wanted_version_check (version, &error));
  assert_non_null (strstr (error->message, "manifest.json"));
  g_clear_error (&error);
  for (int i = 0; i < 17; i++)
    add (version, "manifest.json", 1, SUM);
  assert_false (usher_wanted_version_check (version, &error));
  assert_non_null (strstr (error->message, "17 files"));
  usher_wanted_version_free (version);
}

/* ---- what stands on what ---- */

static void
put_be (guint8 *at, guint64 value, int bytes)
{
  for (int i = 0; i < bytes; i++)
    at[i] = (guint8) (value >> (8 * (bytes - 1 - i)));
}

static void
make_head (guint8 head[1024], guint64 offset, guint32 size, const char *name)
{
  memset (head, 0, 1024);
  memcpy (head, "QFI\xfb", 4);
  put_be (head + 8, offset, 8);
  put_be (head + 16, size, 4);
  if (name != NULL)
    memcpy (head + offset, name, strlen (name));
}

static void
headers_of_images (void **state)
{
  guint8 head[1024];
  g_autofree char *name = NULL;
  make_head (head, 512, 5, "/base+");
  assert_true (usher_qcow2_backing (head, sizeof head, &name));
  assert_string_equal (name, "/base");
  g_clear_pointer (&name, g_free);
  make_head (head, 0, 0, NULL);
  assert_true (usher_qcow2_backing (head, sizeof head, &name) && name == NULL);
  assert_true (usher_qcow2_backing ((const guint8 *) "text", 4, &name) && name == NULL);
  assert_true (usher_qcow2_backing (head, 3, &name) && name == NULL);
  assert_false (usher_qcow2_backing (head, 19, &name));
  static const struct { guint64 offset; guint32 size; } bad[] = { { 512, 0 }, { 512, 513 }, { 1025, 1 }, { G_MAXUINT64, 5 }, { 512, G_MAXUINT32 } };
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      make_head (head, bad[i].offset, bad[i].size, NULL);
      assert_false (usher_qcow2_backing (head, sizeof head, &name));
    }
}

static char *
in (const char *root, const char *path)
{
  char *full = g_build_filename (root, path, NULL);
  g_autofree char *folder = g_path_get_dirname (full);
  assert_int_equal (g_mkdir_with_parents (folder, 0755), 0);
  return full;
}

static void
run (const char *const *argv)
{
  assert_true (usher_command_run (argv, 30, NULL));
}

static gboolean
has (const char *root, const char *state, const char *store, int version)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *dir = g_strdup_printf ("%s/%s/tiny/%d", root, store, version);
  g_autoptr (UsherStanding) standing = usher_standing_look (state, &error);
  assert_null (error);
  return usher_standing_has (standing, "tiny", version, dir);
}

static void
what_stands_on_what (void **state)
{
  const char *root = *state;
  g_autofree char *host = in (root, "state"), *alias = in (root, "alias"), *real = in (root, "store");
  g_autofree char *base = in (root, "store/tiny/1/disk.qcow2"), *by_alias = in (root, "alias/tiny/1/disk.qcow2");
  g_autofree char *overlay = in (root, "state/parents/tiny-1/disk.qcow2"), *record = in (root, "state/desktops/ID/desktop.json");
  assert_false (has (root, host, "store", 1)); /* nothing there at all */
  const char *const clear[] = { "rm", "-rf", alias, NULL }, *const make[] = { "qemu-img", "create", "-q", "-f", "qcow2", base, "1M", NULL };
  run (clear);
  assert_int_equal (symlink (real, alias), 0);
  run (make);
  const char *const clone[] = { "qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", by_alias, overlay, NULL };
  run (clone); /* by another path to the same file */
  assert_true (has (root, host, "store", 1));
  assert_int_equal (g_remove (overlay), 0);
  assert_false (has (root, host, "store", 1));

  UsherDesktopRecord one = { .name = (char *) "office-1", .template_name = (char *) "tiny", .template_version = 2, .vcpus = 1,
                             .ram_mib = 64, .ready_timeout_s = 60 };
  json_auto_t *json = usher_desktop_record_to_json (&one);
  assert_true (usher_json_write_file (record, json, 0600, NULL));
  assert_true (has (root, host, "store", 2) && !has (root, host, "store", 1));

  g_autoptr (GError) error = NULL;
  assert_true (g_file_set_contents (overlay, "QFI\xfbxxxxxxxxxxxxxxxxxxx", 23, NULL));
  assert_null (usher_standing_look (host, &error)); /* damaged: nobody knows */
  assert_true (g_error_matches (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE));
}

static int
make_dir (void **state)
{
  *state = g_dir_make_tmp ("usher-images-XXXXXX", NULL);
  return *state == NULL;
}

static int
remove_dir (void **state)
{
  const char *const argv[] = { "rm", "-rf", *state, NULL };
  gboolean done = usher_command_run (argv, 10, NULL);
  g_free (*state);
  return !done;
}

static void
pauses (void **state)
{
  assert_int_equal (usher_images_backoff_ms (0), 0);
  assert_int_equal (usher_images_backoff_ms (1), 1000);
  assert_int_equal (usher_images_backoff_ms (3), 4000);
  assert_int_equal (usher_images_backoff_ms (G_MAXUINT), 60000);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (a_rate_is_kept),
    cmocka_unit_test (over_time_it_is_the_rate),
    cmocka_unit_test (no_rate_is_no_limit),
    cmocka_unit_test (who_goes),
    cmocka_unit_test (good_versions_are_taken),
    cmocka_unit_test (bad_versions_are_refused),
    cmocka_unit_test (a_manifest_there_must_be_and_not_too_many),
    cmocka_unit_test (headers_of_images),
    cmocka_unit_test_setup_teardown (what_stands_on_what, make_dir, remove_dir),
    cmocka_unit_test (pauses),
  };
  return cmocka_run_group_tests_name ("hostd/images", tests, NULL, NULL);
}
