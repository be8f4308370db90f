/* A door on a unix socket, on real files: who gets in, who is told why not. The desktop is a listening socket. */
#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>
#include "common/error.h"
#include "common/rpc/door.h"
#include "hostd/door/door.h"

#define HOST "22222222-2222-4222-8222-222222222222"
#define DESKTOP "11111111-1111-4111-8111-111111111111"
#define SESSION "33333333-3333-4333-8333-333333333333"

typedef struct {
  UsherLoop *loop;
  UsherDoor *door;
  char *dir, *socket, *identity, *grant_key, *console;
  unsigned char secret_key[USHER_GRANT_SECRET_KEY_SIZE];
  int desktop, port;
} Fixture;

static void
write_text (const char *path, const char *text)
{
  assert_true (g_file_set_contents (path, text, -1, NULL));
}

static void
write_console (Fixture *f, const char *host, int port)
{
  g_autofree char *text = g_strdup_printf ("{\"spice\": {\"host\": \"%s\", \"port\": %d}}", host, port);
  write_text (f->console, text);
}

static void
listen_as_desktop (Fixture *f)
{
  UsherAddress address;
  usher_address_parse ("127.0.0.1:0", &address, NULL);
  f->desktop = socket (AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  assert_int_equal (bind (f->desktop, (struct sockaddr *) &address.storage, address.length), 0);
  assert_int_equal (listen (f->desktop, 5), 0);
  address.length = sizeof address.storage;
  getsockname (f->desktop, (struct sockaddr *) &address.storage, &address.length);
  f->port = g_ntohs (*(guint16 *) ((char *) &address.storage + 2));
}

static int
setup (void **state)
{
  Fixture *f = g_new0 (Fixture, 1);
  g_autoptr (GError) error = NULL;
  f->dir = g_dir_make_tmp ("usher-door-XXXXXX", NULL);
  f->socket = g_build_filename (f->dir, "door.sock", NULL);
  f->identity = g_build_filename (f->dir, "host.json", NULL);
  f->grant_key = g_build_filename (f->dir, "grant.pub", NULL);
  f->console = g_build_filename (f->dir, DESKTOP, NULL);
  assert_true (usher_grant_keys_open (f->dir, f->secret_key, NULL, &error));
  write_text (f->identity, "{\"host\": \"" HOST "\", \"deployment\": \"x\"}");
  listen_as_desktop (f);
  write_console (f, "127.0.0.1", f->port);
  UsherDoorOptions options = {
    .mode = 0600, .consoles = f->dir, .identity = f->identity, .grant_key = f->grant_key, .connections_max = 3, .greeting_ms = 300,
  };
  g_autofree char *address = g_strconcat ("unix:", f->socket, NULL);
  assert_true (usher_address_parse (address, &options.listen, NULL));
  f->loop = usher_loop_new (NULL);
  f->door = usher_door_new (f->loop, &options, &error);
  assert_null (error);
  *state = f;
  return 0;
}

static int
teardown (void **state)
{
  Fixture *f = *state;
  static const char *const files[] = { "door.sock", "host.json", "grant.pub", "grant.key", DESKTOP };
  usher_door_free (f->door);
  usher_loop_free (f->loop);
  close (f->desktop);
  assert_false (g_file_test (f->socket, G_FILE_TEST_EXISTS));
  for (guint i = 0; i < G_N_ELEMENTS (files); i++)
    {
      g_autofree char *path = g_build_filename (f->dir, files[i], NULL);
      g_unlink (path);
    }
  assert_int_equal (g_rmdir (f->dir), 0);
  g_free (f->dir);
  g_free (f->socket);
  g_free (f->identity);
  g_free (f->grant_key);
  g_free (f->console);
  g_free (f);
  return 0;
}

static int
knock (Fixture *f)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  g_strlcpy (address.sun_path, f->socket, sizeof address.sun_path);
  const int fd = socket (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  assert_int_equal (connect (fd, (struct sockaddr *) &address, sizeof address), 0);
  return fd;
}

static char *
grant_for (Fixture *f, const char *host, UsherService service, gint64 seconds)
{
  UsherGrant grant = { .desktop = DESKTOP, .session = SESSION, .service = service };
  g_strlcpy (grant.host, host, sizeof grant.host);
  grant.expires_at = g_get_real_time () / G_USEC_PER_SEC + seconds;
  return usher_grant_seal (&grant, f->secret_key);
}

/* Turns the loop until the other end says something or ends. Bytes read. */
static gssize
hear (Fixture *f, int fd, guint8 *bytes, gsize length)
{
  for (guint i = 0; i < 200; i++)
    {
      const gssize n = recv (fd, bytes, length, 0);
      if (n >= 0)
        return n;
      usher_loop_turn (f->loop, 10);
    }
  return -1;
}

static UsherDoorStatus
greet (Fixture *f, int fd, const guint8 *bytes, gsize length)
{
  guint8 answer[600];
  UsherDoorStatus status = USHER_DOOR_OK;
  g_autofree char *message = NULL;
  assert_int_equal (send (fd, bytes, length, 0), length);
  const gssize n = hear (f, fd, answer, sizeof answer);
  assert_true (n >= USHER_DOOR_HEAD);
  assert_true (usher_door_answer_parse (answer, (gsize) n, &status, &message, NULL) > 0);
  assert_true (status == USHER_DOOR_OK || message[0] != '\0');
  return status;
}

static UsherDoorStatus
greet_with (Fixture *f, const char *sealed, UsherService service)
{
  const int fd = knock (f);
  g_autoptr (GByteArray) request = usher_door_request (service, sealed);
  const UsherDoorStatus status = greet (f, fd, request->data, request->len);
  close (fd);
  return status;
}

static void
a_grant_opens_and_bytes_pass (void **state)
{
  Fixture *f = *state;
  guint8 bytes[16];
  g_autofree char *sealed = grant_for (f, HOST, USHER_SERVICE_SPICE, 60);
  g_autoptr (GByteArray) request = usher_door_request (USHER_SERVICE_SPICE, sealed);
  g_byte_array_append (request, (const guint8 *) "REDQ", 4); /* behind the greeting already */
  const int fd = knock (f);
  assert_int_equal (greet (f, fd, request->data, request->len), USHER_DOOR_OK);
  const int inside = accept4 (f->desktop, NULL, NULL, SOCK_NONBLOCK);
  assert_true (inside >= 0);
  assert_int_equal (hear (f, inside, bytes, sizeof bytes), 4);
  assert_memory_equal (bytes, "REDQ", 4);
  send (inside, "hello", 5, 0);
  assert_int_equal (hear (f, fd, bytes, sizeof bytes), 5);
  close (fd);
  assert_int_equal (hear (f, inside, bytes, sizeof bytes), 0);
  close (inside);
  for (guint i = 0; i < 20 && usher_door_connections (f->door) > 0; i++)
    usher_loop_turn (f->loop, 10);
  assert_int_equal (usher_door_connections (f->door), 0);
}

static void
a_greeting_byte_by_byte_opens_too (void **state)
{
  Fixture *f = *state;
  guint8 answer[16];
  g_autofree char *sealed = grant_for (f, HOST, USHER_SERVICE_SPICE, 60);
  g_autoptr (GByteArray) request = usher_door_request (USHER_SERVICE_SPICE, sealed);
  const int fd = knock (f);
  for (guint i = 0; i < request->len; i++)
    {
      send (fd, request->data + i, 1, 0);
      usher_loop_turn (f->loop, 0);
    }
  assert_int_equal (hear (f, fd, answer, sizeof answer), USHER_DOOR_HEAD);
  assert_int_equal (answer[5], USHER_DOOR_OK);
  close (fd);
}

static void
what_is_not_granted_is_turned_away (void **state)
{
  Fixture *f = *state;
  g_autofree char *late = grant_for (f, HOST, USHER_SERVICE_SPICE, -1);
  g_autofree char *elsewhere = grant_for (f, SESSION, USHER_SERVICE_SPICE, 60);
  g_autofree char *good = grant_for (f, HOST, USHER_SERVICE_SPICE, 60);
  g_autofree char *forged = g_strdup (good);
  forged[3] = forged[3] == 'A' ? 'B' : 'A';
  assert_int_equal (greet_with (f, late, USHER_SERVICE_SPICE), USHER_DOOR_REFUSED);
  assert_int_equal (greet_with (f, elsewhere, USHER_SERVICE_SPICE), USHER_DOOR_REFUSED);
  assert_int_equal (greet_with (f, forged, USHER_SERVICE_SPICE), USHER_DOOR_REFUSED);
  assert_int_equal (greet_with (f, good, USHER_SERVICE_RDP), USHER_DOOR_REFUSED);
  assert_int_equal (greet_with (f, "!!", USHER_SERVICE_SPICE), USHER_DOOR_INVALID);
}

static void
a_malformed_greeting_is_said_to_be_one (void **state)
{
  Fixture *f = *state;
  const int fd = knock (f);
  assert_int_equal (greet (f, fd, (const guint8 *) "GET / HTTP/1.1\r\n\r\n", 18), USHER_DOOR_INVALID);
  close (fd);
}

static void
a_desktop_that_is_not_here_and_one_that_does_not_answer_differ (void **state)
{
  Fixture *f = *state;
  g_autofree char *sealed = grant_for (f, HOST, USHER_SERVICE_SPICE, 60);
  g_autofree char *rdp = grant_for (f, HOST, USHER_SERVICE_RDP, 60);
  assert_int_equal (greet_with (f, rdp, USHER_SERVICE_RDP), USHER_DOOR_MISSING);
  write_console (f, "127.0.0.1", 1);
  assert_int_equal (greet_with (f, sealed, USHER_SERVICE_SPICE), USHER_DOOR_UNAVAILABLE);
  write_text (f->console, "{");
  assert_int_equal (greet_with (f, sealed, USHER_SERVICE_SPICE), USHER_DOOR_UNAVAILABLE);
  write_console (f, "192.0.2.1", 80);
  assert_int_equal (greet_with (f, sealed, USHER_SERVICE_SPICE), USHER_DOOR_UNAVAILABLE);
  g_unlink (f->console);
  assert_int_equal (greet_with (f, sealed, USHER_SERVICE_SPICE), USHER_DOOR_MISSING);
  write_console (f, "127.0.0.1", f->port);
  assert_int_equal (greet_with (f, sealed, USHER_SERVICE_SPICE), USHER_DOOR_OK);
}

static void
a_host_that_has_not_joined_lets_nobody_in (void **state)
{
  Fixture *f = *state;
  g_autofree char *sealed = grant_for (f, HOST, USHER_SERVICE_SPICE, 60);
  g_unlink (f->identity);
  assert_int_equal (greet_with (f, sealed, USHER_SERVICE_SPICE), USHER_DOOR_UNAVAILABLE);
}

static void
a_silent_one_is_dropped_and_too_many_are_too (void **state)
{
  Fixture *f = *state;
  guint8 byte;
  int silent[3];
  for (guint i = 0; i < 3; i++)
    silent[i] = knock (f);
  usher_loop_turn (f->loop, 10);
  const int fourth = knock (f);
  assert_int_equal (hear (f, fourth, &byte, 1), 0);
  assert_int_equal (usher_door_connections (f->door), 3);
  for (guint i = 0; i < 3; i++)
    {
      assert_int_equal (hear (f, silent[i], &byte, 1), 0);
      close (silent[i]);
    }
  close (fourth);
  assert_int_equal (usher_door_connections (f->door), 0);
}

static void
the_socket_is_for_its_owner (void **state)
{
  Fixture *f = *state;
  struct stat status;
  assert_int_equal (stat (f->socket, &status), 0);
  assert_int_equal (status.st_mode & 0777, 0600);
}

int
main (void)
{
#define DOOR_TEST(name) cmocka_unit_test_setup_teardown (name, setup, teardown)
  const struct CMUnitTest tests[] = {
    DOOR_TEST (a_grant_opens_and_bytes_pass),
    DOOR_TEST (a_greeting_byte_by_byte_opens_too),
    DOOR_TEST (what_is_not_granted_is_turned_away),
    DOOR_TEST (a_malformed_greeting_is_said_to_be_one),
    DOOR_TEST (a_desktop_that_is_not_here_and_one_that_does_not_answer_differ),
    DOOR_TEST (a_host_that_has_not_joined_lets_nobody_in),
    DOOR_TEST (a_silent_one_is_dropped_and_too_many_are_too),
    DOOR_TEST (the_socket_is_for_its_owner),
  };
  cmocka_set_message_output (CM_OUTPUT_TAP);
  return cmocka_run_group_tests_name ("door", tests, NULL, NULL);
}
