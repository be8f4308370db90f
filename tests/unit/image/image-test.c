/* common/image: heads of every format taken, everything refused by name, and a confined child that can do no harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "common/error.h"
#include "common/image/tool.h"
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define MIB (1024 * 1024)

typedef struct {
  char *folder;
} Place;

static char *
at (Place *place, const char *name)
{
  return g_build_filename (place->folder, name, NULL);
}

static int
set_up (void **state)
{
  Place *place = g_new0 (Place, 1);

  place->folder = g_dir_make_tmp ("usher-image-XXXXXX", NULL);
  *state = place;
  return place->folder == NULL;
}

static int
tear_down (void **state)
{
  Place *place = *state;
  const char *words[] = { "rm", "-rf", "--", place->folder, NULL };

  g_spawn_sync (NULL, (char **) words, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL);
  g_free (place->folder);
  g_free (place);
  return 0;
}

/* A shell line in the folder. */
static void
make (Place *place, const char *line)
{
  const char *words[] = { "sh", "-ec", line, NULL };
  g_autofree char *complaint = NULL;
  int status = 1;

  assert_true (g_spawn_sync (place->folder, (char **) words, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL, NULL,
                             &complaint, &status, NULL));
  if (status != 0)
    fail_msg ("%s: %s", line, complaint);
}

static int
open_file (Place *place, const char *name)
{
  g_autofree char *path = at (place, name);
  int fd = open (path, O_RDONLY | O_CLOEXEC);

  assert_true (fd >= 0);
  return fd;
}

static gboolean
read_head (Place *place, const char *name, UsherImageHead *out, GError **error)
{
  int fd = open_file (place, name);
  guint64 size = 0;
  gboolean done = usher_image_head_read (fd, out, &size, error);

  close (fd);
  return done;
}

/* Byte patches of an image. */
static void
patch (Place *place, const char *from, const char *to, goffset offset, const char *bytes, gsize length)
{
  g_autofree char *line = g_strdup_printf ("cp %s %s", from, to), *path = at (place, to);
  int fd;

  make (place, line);
  fd = open (path, O_WRONLY | O_CLOEXEC);
  assert_int_equal (pwrite (fd, bytes, length, offset), (gssize) length);
  close (fd);
}

static void
formats_are_told_apart (void **state)
{
  static const struct {
    const char *make, *name;
    UsherImageFormat format;
    guint64 virtual_size;
  } cases[] = {
    { "qemu-img create -f qcow2 a 5M", "a", USHER_IMAGE_QCOW2, 5 * MIB },
    { "qemu-img create -f qcow2 -o compat=0.10 b 5M", "b", USHER_IMAGE_QCOW2, 5 * MIB },
    { "truncate -s 5M c", "c", USHER_IMAGE_RAW, 5 * MIB },
    { "qemu-img convert -f raw -O vmdk c d", "d", USHER_IMAGE_VMDK, 5 * MIB },
    { "qemu-img convert -f raw -O vmdk -o subformat=streamOptimized c e", "e", USHER_IMAGE_VMDK, 5 * MIB },
    { "qemu-img convert -f raw -O vhdx c f", "f", USHER_IMAGE_VHDX, 0 },
    { "qemu-img convert -f raw -O vpc c g", "g", USHER_IMAGE_VPC, 0 },
    { "qemu-img convert -f raw -O vpc -o subformat=fixed c h", "h", USHER_IMAGE_VPC, 0 },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    UsherImageHead head = { 0 };
    guint64 virtual_size = 0;
    int fd;
    make (*state, cases[i].make);
    if (!read_head (*state, cases[i].name, &head, &error))
      fail_msg ("%s: %s", cases[i].make, error->message);
    assert_int_equal (head.format, cases[i].format);
    assert_int_equal (head.virtual_size, cases[i].virtual_size);
    fd = open_file (*state, cases[i].name);
    if (!usher_image_tool_info (fd, head.format, NULL, &virtual_size, &error))
      fail_msg ("info of %s: %s", cases[i].make, error->message);
    assert_true (virtual_size >= 5 * MIB && virtual_size < 6 * MIB);
    close (fd);
  }
}

static void
what_refers_to_other_files_is_refused (void **state)
{
  static const struct {
    const char *make, *name, *word;
    UsherError code;
  } cases[] = {
    { "qemu-img create -q -f qcow2 base 1M; qemu-img create -q -f qcow2 -b base -F qcow2 a", "a", "backing file", USHER_ERROR_REFUSED },
    { "qemu-img create -q -f qcow2 -o data_file=$PWD/data b 1M", "b",
      "external data file", USHER_ERROR_REFUSED },
    { "qemu-img create -q -f vmdk -o subformat=twoGbMaxExtentSparse c.vmdk 1M", "c.vmdk", "several files", USHER_ERROR_REFUSED },
    { "qemu-img create -q -f vmdk -o subformat=monolithicFlat d.vmdk 1M", "d.vmdk", "several files", USHER_ERROR_REFUSED },
    { "qemu-img create -q -f vmdk e0.vmdk 1M; qemu-img create -q -f vmdk -b e0.vmdk -F vmdk e.vmdk", "e.vmdk", "parent", USHER_ERROR_REFUSED },
    { "printf 'LUKS\\272\\276' >g; truncate -s 4k g", "g", "encrypted", USHER_ERROR_REFUSED },
    { "qemu-img create -q -f vdi h 1M", "h", "VDI", USHER_ERROR_INVALID },
    { "qemu-img create -q -f qed i 1M 2>/dev/null || printf 'QED\\0' >i", "i", "QED", USHER_ERROR_INVALID },
    { "echo x | gzip >j", "j", "gzip", USHER_ERROR_INVALID },
    { "tar cf k base", "k", "tar", USHER_ERROR_INVALID },
    { "printf hello >l", "l", "512", USHER_ERROR_INVALID },
    { ": >m", "m", "512", USHER_ERROR_INVALID },
    { "printf 'QFI\\373\\0\\0\\0\\3' >n", "n", "damaged", USHER_ERROR_INVALID },
    { "printf 'KDMV\\1\\0\\0\\0' >o; truncate -s 4k o", "o", "other files", USHER_ERROR_REFUSED },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    UsherImageHead head = { .virtual_size = 7 };
    make (*state, cases[i].make);
    if (read_head (*state, cases[i].name, &head, &error))
      fail_msg ("%s: was taken", cases[i].make);
    assert_int_equal (head.virtual_size, 7);
    if (strstr (error->message, cases[i].word) == NULL || error->code != (int) cases[i].code)
      fail_msg ("%s: %s", cases[i].make, error->message);
  }
}

static void
damaged_heads_are_refused (void **state)
{
  static const struct {
    goffset offset;
    const char *bytes;
    gsize length;
    const char *word;
  } cases[] = {
    { 8, "\0\0\0\0\0\0\1\0", 8, "backing file" },
    { 20, "\0\0\0\3", 4, "damaged" },
    { 32, "\0\0\0\1", 4, "encrypted" },
    { 72, "\0\0\0\0\0\0\0\4", 8, "data file" },
    { 72, "\0\0\0\0\0\0\0\1", 8, "not closed" },
    { 72, "\0\0\0\0\0\0\0\2", 8, "corrupt" },
    { 72, "\200\0\0\0\0\0\0\0", 8, "features" },
    { 100, "\377\377\377\370", 4, "damaged" },
    { 112, "\x44\x41\x54\x41\0\0\0\4", 8, "data file" },
    { 112, "\1\2\3\4\377\377\377\370", 8, "damaged" },
  };

  make (*state, "qemu-img create -q -f qcow2 good 1M");
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    UsherImageHead head;
    patch (*state, "good", "bad", cases[i].offset, cases[i].bytes, cases[i].length);
    if (read_head (*state, "bad", &head, &error))
      fail_msg ("case %zu was taken", i);
    if (strstr (error->message, cases[i].word) == NULL)
      fail_msg ("case %zu: %s", i, error->message);
  }
}

static void
other_things_than_files_are_refused (void **state)
{
  UsherImageHead head;
  guint64 size;
  int fd = open ("/dev/zero", O_RDONLY | O_CLOEXEC);
  g_autoptr (GError) error = NULL;

  assert_false (usher_image_head_read (fd, &head, &size, &error));
  assert_true (g_error_matches (error, USHER_ERROR, USHER_ERROR_INVALID));
  close (fd);
}

static void
tables_are_checked (void **state)
{
  g_autoptr (GError) error = NULL;
  int fd;

  make (*state, "qemu-img create -q -f qcow2 good 1M; qemu-io -f qcow2 -c 'write 0 64k' good");
  fd = open_file (*state, "good");
  assert_true (usher_image_tool_check (fd, NULL, &error));
  close (fd);
  patch (*state, "good", "bad", 65536, "\0\0", 2); /* the reference count of the header's cluster is somewhere there */
  patch (*state, "bad", "worse", 0x30000, "\x80\0\0\0\0\xff\0\0", 8);
  fd = open_file (*state, "worse");
  assert_false (usher_image_tool_check (fd, NULL, &error));
  assert_int_equal (error->code, USHER_ERROR_INVALID);
  close (fd);
}

/* ---- the confined child ---- */

static gboolean
run_line (Place *place, const char *line, const UsherConfineLimits *limits, char **out_text, GError **error)
{
  const char *words[] = { "sh", "-c", line, NULL };
  int fd = open_file (place, "secret");
  gboolean done;

  done = usher_image_tool_run (words, fd, limits, NULL, NULL, NULL, out_text, error);
  close (fd);
  return done;
}

static const UsherConfineLimits usual = { .cpu_s = 20, .time_s = 20, .memory = 1024 * MIB, .file_size = MIB };

static void
a_confined_child_reads_what_it_was_given (void **state)
{
  g_autofree char *text = NULL;
  g_autoptr (GError) error = NULL;

  make (*state, "printf 'the text' >secret; chmod 600 secret");
  /* exec: it can start no process beside itself. */
  if (!run_line (*state, "exec cat /proc/self/fd/3", &usual, &text, &error))
    fail_msg ("%s", error->message);
  assert_string_equal (text, "the text");
}

static void
a_confined_child_can_do_no_harm (void **state)
{
  static const char *const lines[] = {
    "exec perl -MSocket -e 'socket(my $s, AF_INET, SOCK_STREAM, 0) or exit 3'",
    "exec perl -MSocket -e 'socket(my $s, AF_UNIX, SOCK_STREAM, 0) or exit 3'",
    "exec perl -e 'defined fork or exit 3'",
    "exec unshare -U true",
    "exec mount -t tmpfs none /mnt",
    "exec perl -e 'kill 0, getppid() or exit 3'",
    "exec mkdir made",
  };

  make (*state, "printf 'the text' >secret");
  for (gsize i = 0; i < G_N_ELEMENTS (lines); i++) {
    g_autoptr (GError) error = NULL;
    if (run_line (*state, lines[i], &usual, NULL, &error))
      fail_msg ("it could: %s", lines[i]);
    assert_true (g_error_matches (error, USHER_ERROR, USHER_ERROR_INVALID));
  }
  if (geteuid () == 0) {
    g_autofree char *text = NULL, *network = NULL, *path = at (*state, "written"), *ours = g_file_read_link ("/proc/self/ns/net", NULL);
    g_autofree char *line = g_strdup_printf (": >%s", path);
    g_autoptr (GError) error = NULL;
    assert_true (run_line (*state, "exec id -u", &usual, &text, &error));
    assert_string_equal (text, "65534\n");
    assert_true (run_line (*state, "exec readlink /proc/self/ns/net", &usual, &network, &error));
    assert_false (g_str_has_prefix (network, ours));
    assert_false (run_line (*state, line, &usual, NULL, &error));
    assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
  }
}

static void
limits_end_a_child (void **state)
{
  UsherConfineLimits tight = usual;
  g_autoptr (GError) error = NULL;
  g_autofree char *folder = at (*state, "out");
  g_autofree char *line = g_strdup_printf ("exec head -c 3000000 /dev/zero >%s/big", folder);
  gint64 begun = g_get_monotonic_time ();

  make (*state, "printf 'the text' >secret; mkdir out; chmod 777 out; chmod 755 .");
  tight.time_s = 1;
  assert_false (run_line (*state, "exec sleep 30", &tight, NULL, &error));
  assert_int_equal (error->code, USHER_ERROR_TOO_LARGE);
  g_clear_error (&error);
  assert_false (run_line (*state, "exec sleep 30 >&- 2>&-", &tight, NULL, &error));
  assert_int_equal (error->code, USHER_ERROR_TOO_LARGE);
  g_clear_error (&error);
  assert_true (g_get_monotonic_time () - begun < 15 * G_USEC_PER_SEC);
  tight = usual;
  tight.cpu_s = 1;
  assert_false (run_line (*state, "while :; do :; done", &tight, NULL, &error));
  assert_int_equal (error->code, USHER_ERROR_TOO_LARGE);
  g_clear_error (&error);
  assert_false (run_line (*state, line, &usual, NULL, &error));
  assert_int_equal (error->code, USHER_ERROR_TOO_LARGE);
  g_clear_error (&error);
  tight = usual;
  tight.memory = 64 * MIB;
  assert_false (run_line (*state, "exec perl -e '$x = \"x\" x 200000000'", &tight, NULL, &error));
}

static void *
cancel_soon (void *cancellable)
{
  g_usleep (200 * 1000);
  g_cancellable_cancel (cancellable);
  return NULL;
}

static void
a_child_is_cancelled (void **state)
{
  const char *words[] = { "sleep", "30", NULL };
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GError) error = NULL;
  GThread *thread = g_thread_new ("cancel", cancel_soon, cancellable);
  gint64 begun = g_get_monotonic_time ();

  assert_false (usher_image_tool_run (words, 0, &usual, cancellable, NULL, NULL, NULL, &error));
  assert_true (g_error_matches (error, G_IO_ERROR, G_IO_ERROR_CANCELLED));
  assert_true (g_get_monotonic_time () - begun < 10 * G_USEC_PER_SEC);
  g_thread_join (thread);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown (formats_are_told_apart, set_up, tear_down),
    cmocka_unit_test_setup_teardown (what_refers_to_other_files_is_refused, set_up, tear_down),
    cmocka_unit_test_setup_teardown (damaged_heads_are_refused, set_up, tear_down),
    cmocka_unit_test_setup_teardown (other_things_than_files_are_refused, set_up, tear_down),
    cmocka_unit_test_setup_teardown (tables_are_checked, set_up, tear_down),
    cmocka_unit_test_setup_teardown (a_confined_child_reads_what_it_was_given, set_up, tear_down),
    cmocka_unit_test_setup_teardown (a_confined_child_can_do_no_harm, set_up, tear_down),
    cmocka_unit_test_setup_teardown (limits_end_a_child, set_up, tear_down),
    cmocka_unit_test_setup_teardown (a_child_is_cancelled, set_up, tear_down),
  };

  cmocka_set_message_output (CM_OUTPUT_TAP);
  return cmocka_run_group_tests_name ("image", tests, NULL, NULL);
}
