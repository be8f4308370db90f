/* Unit tests of hostd/clone without libvirt: what emulator arguments mean, which starts golden RAM is handed out for,
 * sealed RAM and its copy, overlays, and what can't be forked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/error.h"
#include "hostd/clone/emulator.h"
#include "hostd/clone/forkable.h"
#include "hostd/clone/golden.h"
#include "hostd/clone/handover.h"
#include "hostd/clone/pending.h"
#include "hostd/clone/ram.h"
#include "hostd/storage/overlay.h"

#define ID "0f8fad5b-d9cb-469f-a165-70867728950e"
#define TICKET "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define OTHER_TICKET "BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define MIB (1024 * 1024)

/* ---- emulator ---- */

static void
arguments_that_ask_for_ram (void **state)
{
  char *fork[] = { "emulator", "-uuid", ID, "-object", "memory-backend-file,id=hot,mem-path=/proc/self/fd/200,share=off", NULL };
  char *last[] = { "emulator", "-object", "mem-path=/proc/self/fd/200", NULL };
  char *probe[] = { "emulator", "-S", "-no-user-config", "-nodefaults", "-nographic", "-machine", "none,accel=tcg", NULL };
  char *other_path[] = { "emulator", "-object", "memory-backend-file,mem-path=/proc/self/fd/2001", NULL };
  char *in_a_word[] = { "emulator", "-object", "x,name=xmem-path=/proc/self/fd/200", NULL };
  char *elsewhere[] = { "emulator", "-name", "mem-path=/proc/self/fd/200", NULL };
  char *none[] = { NULL };
  assert_true (usher_emulator_wants_ram (fork));
  assert_true (usher_emulator_wants_ram (last));
  assert_false (usher_emulator_wants_ram (probe));
  assert_false (usher_emulator_wants_ram (other_path));
  assert_false (usher_emulator_wants_ram (in_a_word));
  assert_false (usher_emulator_wants_ram (elsewhere));
  assert_false (usher_emulator_wants_ram (none));
  assert_string_equal (usher_emulator_uuid (fork), ID);
  assert_null (usher_emulator_uuid (probe));
}

/* ---- announced starts ---- */

static int
some_fd (void)
{
  int fd = open ("/dev/null", O_RDONLY | O_CLOEXEC);
  assert_true (fd >= 0);
  return fd;
}

static gboolean
is_open (int fd)
{
  return fcntl (fd, F_GETFD) >= 0;
}

static void
handed_out_once (void **state)
{
  g_autoptr (UsherPending) pending = usher_pending_new ();
  const char *why = NULL;
  int fd = some_fd ();
  assert_int_equal (usher_pending_take (pending, ID, TICKET, 0, &why), -1);
  assert_non_null (strstr (why, "announced"));
  usher_pending_add (pending, ID, TICKET, fd, 100);
  assert_int_equal (usher_pending_take (pending, ID, OTHER_TICKET, 50, &why), -1);
  assert_non_null (strstr (why, "ticket"));
  assert_int_equal (usher_pending_take (pending, ID, TICKET, 99, &why), fd); /* a wrong ticket spent nothing */
  assert_int_equal (usher_pending_take (pending, ID, TICKET, 99, &why), -1);
  assert_true (is_open (fd));
  close (fd);
}

static void
too_late_withdrawn_replaced (void **state)
{
  g_autoptr (UsherPending) pending = usher_pending_new ();
  const char *why = NULL;
  int late = some_fd (), withdrawn = some_fd (), old = some_fd (), left = some_fd ();
  usher_pending_add (pending, ID, TICKET, late, 100);
  assert_int_equal (usher_pending_take (pending, ID, TICKET, 100, &why), -1);
  assert_false (is_open (late));
  usher_pending_add (pending, ID, TICKET, withdrawn, 100);
  usher_pending_remove (pending, ID);
  assert_false (is_open (withdrawn));
  assert_int_equal (usher_pending_take (pending, ID, TICKET, 0, &why), -1);
  usher_pending_add (pending, ID, TICKET, old, 100);
  usher_pending_add (pending, ID, OTHER_TICKET, left, 100);
  assert_false (is_open (old));
  assert_int_equal (usher_pending_take (pending, ID, TICKET, 0, &why), -1);
  g_clear_pointer (&pending, usher_pending_free);
  assert_false (is_open (left));
}

/* ---- over the socket ---- */

/* What the daemon answers to `text`, and the descriptor that comes with it. */
static char *
ask (const char *path, const char *text, int *out_fd)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  union {
    struct cmsghdr head;
    char space[CMSG_SPACE (sizeof (int))];
  } control;
  char answer[USHER_HANDOVER_MAX + 1] = { 0 };
  struct iovec part = { answer, USHER_HANDOVER_MAX };
  struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
  g_strlcpy (address.sun_path, path, sizeof address.sun_path);
  int fd = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  assert_int_equal (connect (fd, (struct sockaddr *) &address, sizeof address), 0);
  assert_int_equal (send (fd, text, strlen (text), 0), strlen (text));
  assert_true (recvmsg (fd, &message, MSG_CMSG_CLOEXEC) >= 0);
  struct cmsghdr *head = CMSG_FIRSTHDR (&message);
  *out_fd = -1;
  if (head != NULL)
    memcpy (out_fd, CMSG_DATA (head), sizeof *out_fd);
  close (fd);
  return g_strdup (answer);
}

static void
the_socket_gives_ram (void **state)
{
  g_autofree char *dir = g_dir_make_tmp ("usher-golden-XXXXXX", NULL), *path = g_build_filename (dir, "golden.sock", NULL);
  g_autofree char *self = g_file_read_link ("/proc/self/exe", NULL);
  g_autoptr (UsherGolden) golden = usher_golden_new (path, self, NULL);
  char ticket[USHER_TOKEN_SIZE];
  struct stat found;
  int fd, ram = usher_ram_new ("test", 1, NULL);
  assert_non_null (golden);
  assert_int_equal (stat (path, &found), 0);
  assert_int_equal (found.st_mode & 0777, 0600);

  assert_true (usher_golden_announce (golden, ID, ram, 60, ticket, NULL));
  static const char *const odd[] = { "", "x", ID, ID " ", ID " " OTHER_TICKET, "x " TICKET, ID " " TICKET " more" };
  for (gsize i = 1; i < G_N_ELEMENTS (odd); i++)
    {
      g_autofree char *refusal = ask (path, odd[i], &fd);
      assert_int_equal (fd, -1);
      assert_string_not_equal (refusal, USHER_HANDOVER_OK);
    }
  g_autofree char *asked = g_strdup_printf (ID " %s", ticket), *given = ask (path, asked, &fd);
  assert_string_equal (given, USHER_HANDOVER_OK);
  struct stat one, other;
  assert_true (fstat (ram, &one) == 0 && fstat (fd, &other) == 0 && one.st_ino == other.st_ino);
  close (fd);
  g_autofree char *again = ask (path, asked, &fd);
  assert_int_equal (fd, -1);
  assert_true (usher_golden_announce (golden, ID, ram, 60, ticket, NULL));
  usher_golden_withdraw (golden, ID);
  g_autofree char *retry = g_strdup_printf (ID " %s", ticket), *withdrawn = ask (path, retry, &fd);
  assert_int_equal (fd, -1);
  close (ram);
  g_clear_pointer (&golden, usher_golden_free);
  assert_false (g_file_test (path, G_FILE_TEST_EXISTS));
  g_rmdir (dir);
}

static void
only_the_emulator_may_ask (void **state)
{
  g_autofree char *dir = g_dir_make_tmp ("usher-golden-XXXXXX", NULL), *path = g_build_filename (dir, "golden.sock", NULL);
  g_autoptr (UsherGolden) golden = usher_golden_new (path, "/bin/true", NULL);
  char ticket[USHER_TOKEN_SIZE];
  int fd, ram = usher_ram_new ("test", 1, NULL);
  assert_true (usher_golden_announce (golden, ID, ram, 60, ticket, NULL));
  g_autofree char *asked = g_strdup_printf (ID " %s", ticket), *refusal = ask (path, asked, &fd);
  assert_int_equal (fd, -1);
  assert_non_null (strstr (refusal, "usher-emulator"));
  close (ram);
  g_clear_pointer (&golden, usher_golden_free);
  g_rmdir (dir);
}

/* ---- RAM ---- */

static void
put (int fd, const char *text, goffset at)
{
  assert_int_equal (pwrite (fd, text, strlen (text), at), strlen (text));
}

/* Opens the memfd anew, for writing, as QEMU does. */
static int
open_again (int fd)
{
  g_autofree char *path = g_strdup_printf ("/proc/self/fd/%d", fd);
  int again = open (path, O_RDWR | O_CLOEXEC);
  assert_true (again >= 0);
  return again;
}

static void
sealed_ram_stays_as_it_is (void **state)
{
  g_autoptr (GError) error = NULL;
  int fd = usher_ram_new ("test", 2, NULL);
  put (fd, "golden", 4096);
  assert_false (usher_ram_is_golden (fd, 2));
  assert_true (usher_ram_seal (fd, NULL));
  assert_true (usher_ram_is_golden (fd, 2));
  assert_false (usher_ram_is_golden (fd, 3));
  int again = open_again (fd);
  assert_true (pwrite (again, "x", 1, 4096) < 0 && errno == EPERM);
  assert_true (fallocate (again, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, MIB) < 0 && errno == EPERM);
  assert_true (ftruncate (again, MIB) < 0 && errno == EPERM);
  assert_true (mmap (NULL, MIB, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0) == MAP_FAILED && errno == EPERM);
  /* and yet a fork maps it for itself */
  char *own = mmap (NULL, 2 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE, again, 0);
  assert_true (own != MAP_FAILED);
  assert_memory_equal (own + 4096, "golden", 6);
  own[4096] = 'G';
  assert_true (madvise (own, MIB, MADV_REMOVE) < 0); /* as a balloon would */
  char back[6];
  assert_int_equal (pread (fd, back, 6, 4096), 6);
  assert_memory_equal (back, "golden", 6);
  munmap (own, 2 * MIB);
  close (again);
  close (fd);
}

static void
ram_comes_back_from_its_copy (void **state)
{
  g_autofree char *dir = g_dir_make_tmp ("usher-ram-XXXXXX", NULL), *path = g_build_filename (dir, "ram", NULL);
  char saved[USHER_CHECKSUM_SIZE], again[USHER_CHECKSUM_SIZE];
  g_autoptr (GError) error = NULL;
  struct stat found;
  int fd = usher_ram_new ("test", 64, NULL);
  put (fd, "first", 0);
  put (fd, "last", 64 * MIB - 4);
  put (fd, "odd place", 17 * MIB + 12345);
  assert_true (usher_ram_save (fd, path, saved, NULL));
  assert_int_equal (stat (path, &found), 0);
  assert_int_equal (found.st_size, 64 * MIB);
  assert_true (found.st_blocks * 512 < 2 * MIB); /* sparse */
  assert_int_equal (found.st_mode & 0777, 0600);
  int loaded = usher_ram_load ("test", path, 64, saved, NULL);
  assert_true (usher_ram_is_golden (loaded, 64));
  assert_true (usher_ram_checksum (loaded, again, NULL));
  assert_string_equal (saved, again);
  close (loaded);

  assert_int_equal (usher_ram_load ("test", path, 65, saved, &error), -1);
  assert_true (g_error_matches (error, USHER_ERROR, USHER_ERROR_INVALID));
  g_clear_error (&error);
  int file = open (path, O_RDWR | O_CLOEXEC);
  put (file, "X", 17 * MIB + 12345);
  close (file);
  assert_int_equal (usher_ram_load ("test", path, 64, saved, &error), -1);
  assert_true (g_error_matches (error, USHER_ERROR, USHER_ERROR_INVALID));
  close (fd);
  g_unlink (path);
  g_rmdir (dir);
}

/* The same bytes at another place are another RAM. */
static void
checksums_know_places (void **state)
{
  char one[USHER_CHECKSUM_SIZE], other[USHER_CHECKSUM_SIZE];
  int first = usher_ram_new ("test", 1, NULL), second = usher_ram_new ("test", 1, NULL);
  put (first, "golden", 0);
  put (second, "golden", 512 * 1024);
  assert_true (usher_ram_checksum (first, one, NULL) && usher_ram_checksum (second, other, NULL));
  assert_string_not_equal (one, other);
  close (first);
  close (second);
}

/* ---- overlays ---- */

static void
overlays_name_their_base (void **state)
{
  g_autofree char *dir = g_dir_make_tmp ("usher-overlay-XXXXXX", NULL);
  g_autofree char *base = g_build_filename (dir, "base.qcow2", NULL), *one = g_build_filename (dir, "one.qcow2", NULL);
  g_autofree char *two = g_build_filename (dir, "two.qcow2", NULL), *named = NULL;
  g_autoptr (GError) error = NULL;
  /* version 3, 64 KiB clusters, 16 MiB, nothing else that is read here */
  guint8 header[112] = { 'Q', 'F', 'I', 0xfb, 0, 0, 0, 3 };
  header[23] = 16;
  header[28] = 1;
  assert_true (g_file_set_contents (base, (const char *) header, sizeof header, NULL));
  assert_true (usher_overlay_make (one, base, NULL));
  assert_true (usher_overlay_make (two, one, NULL));
  assert_true (usher_overlay_read_base (two, &named, NULL));
  assert_string_equal (named, one);
  g_clear_pointer (&named, g_free);
  assert_true (usher_overlay_make (two, base, NULL)); /* in the place of what was there */
  assert_true (usher_overlay_read_base (two, &named, NULL));
  assert_string_equal (named, base);
  char *none = NULL;
  assert_true (usher_overlay_read_base (base, &none, NULL));
  assert_null (none);

  assert_false (usher_overlay_read_base (dir, &none, &error));
  g_clear_error (&error);
  assert_true (g_file_set_contents (base, "no image", -1, NULL));
  assert_false (usher_overlay_make (two, base, &error));
  assert_true (g_error_matches (error, USHER_ERROR, USHER_ERROR_INVALID));
  g_clear_error (&error);
  g_unlink (base);
  assert_false (usher_overlay_make (two, base, &error));
  assert_true (g_error_matches (error, USHER_ERROR, USHER_ERROR_MISSING));
  g_unlink (one);
  g_unlink (two);
  g_rmdir (dir);
}

/* ---- what can be forked ---- */

static void
reasons_not_to_fork (void **state)
{
  UsherTemplateManifest manifest = { .name = "tiny", .version = 3, .ready = USHER_TEMPLATE_READY_AGENT, .minimum_vcpus = 1,
                                     .minimum_ram_mib = 128 };
  assert_null (usher_clone_check_forkable (&manifest, "qemu", 1, 128));
  assert_null (usher_clone_check_forkable (&manifest, "kvm", 4, 1024));
  g_autofree char *fake = usher_clone_check_forkable (&manifest, "test", 1, 128);
  g_autofree char *small = usher_clone_check_forkable (&manifest, "kvm", 1, 64);
  manifest.ready = USHER_TEMPLATE_READY_RUNNING;
  g_autofree char *mute = usher_clone_check_forkable (&manifest, "kvm", 1, 128);
  manifest.ready = USHER_TEMPLATE_READY_AGENT;
  manifest.guest = USHER_TEMPLATE_GUEST_WINDOWS;
  g_autofree char *windows = usher_clone_check_forkable (&manifest, "kvm", 1, 128);
  manifest.guest = USHER_TEMPLATE_GUEST_LINUX;
  manifest.firmware = USHER_TEMPLATE_FIRMWARE_UEFI;
  g_autofree char *uefi = usher_clone_check_forkable (&manifest, "kvm", 1, 128);
  assert_non_null (strstr (windows, "windows"));
  assert_non_null (strstr (uefi, "UEFI"));
  assert_non_null (strstr (fake, "test driver"));
  assert_non_null (strstr (small, "128 MiB"));
  assert_non_null (strstr (mute, "agent"));
  assert_int_equal (usher_clone_elastic_mib (1024) % 128, 0);
  assert_true (usher_clone_elastic_mib (100) >= 300);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (arguments_that_ask_for_ram),   cmocka_unit_test (handed_out_once),
    cmocka_unit_test (too_late_withdrawn_replaced),  cmocka_unit_test (the_socket_gives_ram),
    cmocka_unit_test (only_the_emulator_may_ask),    cmocka_unit_test (sealed_ram_stays_as_it_is),
    cmocka_unit_test (ram_comes_back_from_its_copy), cmocka_unit_test (checksums_know_places),
    cmocka_unit_test (overlays_name_their_base),     cmocka_unit_test (reasons_not_to_fork),
  };
  return cmocka_run_group_tests_name ("hostd/clone", tests, NULL, NULL);
}
