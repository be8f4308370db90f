/* The relay engine over socket pairs: order, half-close, back-pressure, failure, limits, TLS, timers. */
#include <glib/gstdio.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "common/error.h"
#include "common/relay/link_key.h"
#include "common/relay/relay.h"
#include "common/relay/socket.h"
#include "common/relay/tls.h"

/* A relay between two socket pairs; the test holds the outer ends. */
typedef struct {
  UsherLoop *loop;
  UsherPool *pool;
  UsherStream *a, *b;
  UsherRelay *relay;
  int outer_a, outer_b;
  gboolean done, a_ended_first;
  UsherRelayEnd end;
} Fixture;

static void
on_done (UsherRelayEnd end, gboolean a_ended_first, gpointer user_data)
{
  Fixture *f = user_data;
  assert_false (f->done);
  f->done = TRUE;
  f->end = end;
  f->a_ended_first = a_ended_first;
}

static int
pair_with (int *outer)
{
  int fds[2];
  assert_int_equal (socketpair (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
  *outer = fds[0];
  return fds[1];
}

static void
start_relay (Fixture *f, guint idle_ms, guint half_closed_ms)
{
  const UsherRelayLimits limits = { idle_ms, half_closed_ms };
  f->relay = usher_relay_new (f->loop, f->pool, f->a, f->b, &limits, on_done, f);
}

static int
setup (void **state)
{
  Fixture *f = g_new0 (Fixture, 1);
  f->loop = usher_loop_new (NULL);
  f->pool = usher_pool_new (16, 4);
  f->a = usher_socket_stream_new (f->loop, pair_with (&f->outer_a), NULL);
  f->b = usher_socket_stream_new (f->loop, pair_with (&f->outer_b), NULL);
  *state = f;
  return 0;
}

static int
teardown (void **state)
{
  Fixture *f = *state;
  usher_relay_free (f->relay);
  usher_stream_free (f->a);
  usher_stream_free (f->b);
  assert_int_equal (usher_pool_in_use (f->pool), 0);
  usher_loop_free (f->loop);
  usher_pool_free (f->pool);
  close (f->outer_a);
  close (f->outer_b);
  g_free (f);
  return 0;
}

static void
turn (Fixture *f, guint times)
{
  for (guint i = 0; i < times; i++)
    usher_loop_turn (f->loop, 5);
}

static void
turn_until_done (Fixture *f)
{
  const gint64 until = g_get_monotonic_time () + 5 * G_USEC_PER_SEC;
  while (!f->done && g_get_monotonic_time () < until)
    usher_loop_turn (f->loop, 20);
  assert_true (f->done);
}

static guint8
pattern (gsize i)
{
  return (guint8) (i * 31 + (i >> 8));
}

/* Sends `total` bytes of the pattern into `from` and checks them at `to`, reading slowly. */
static void
push_through (Fixture *f, int from, int to, gsize total)
{
  gsize sent = 0, got = 0;
  guint8 chunk[5000];
  while (got < total)
    {
      gsize n = MIN (sizeof chunk, total - sent);
      for (gsize i = 0; i < n; i++)
        chunk[i] = pattern (sent + i);
      gssize w = n > 0 ? send (from, chunk, n, 0) : 0;
      sent += w > 0 ? (gsize) w : 0;
      usher_loop_turn (f->loop, 0);
      gssize r = recv (to, chunk, 3000, 0);
      for (gssize i = 0; i < r; i++)
        assert_int_equal (chunk[i], pattern (got + (gsize) i));
      got += r > 0 ? (gsize) r : 0;
    }
}

static void
bytes_arrive_in_order_both_ways (void **state)
{
  Fixture *f = *state;
  start_relay (f, 0, 0);
  push_through (f, f->outer_a, f->outer_b, 1000000);
  push_through (f, f->outer_b, f->outer_a, 1000000);
  assert_int_equal (usher_relay_bytes_to_b (f->relay), 1000000);
  assert_int_equal (usher_relay_bytes_to_a (f->relay), 1000000);
  assert_false (f->done);
}

static void
an_idle_relay_holds_no_block (void **state)
{
  Fixture *f = *state;
  start_relay (f, 0, 0);
  push_through (f, f->outer_a, f->outer_b, 100000);
  turn (f, 2);
  assert_int_equal (usher_pool_in_use (f->pool), 0);
}

static void
a_half_close_goes_through_and_the_other_way_stays_open (void **state)
{
  Fixture *f = *state;
  char got[16];
  start_relay (f, 0, 0);
  assert_int_equal (send (f->outer_a, "last", 4, 0), 4);
  shutdown (f->outer_a, SHUT_WR);
  turn (f, 4);
  assert_int_equal (recv (f->outer_b, got, sizeof got, 0), 4);
  assert_int_equal (recv (f->outer_b, got, sizeof got, 0), 0);
  assert_false (f->done);
  push_through (f, f->outer_b, f->outer_a, 50000);
  shutdown (f->outer_b, SHUT_WR);
  turn_until_done (f);
  assert_int_equal (f->end, USHER_RELAY_ENDED);
  assert_true (f->a_ended_first);
  assert_int_equal (recv (f->outer_a, got, sizeof got, 0), 0);
}

static void
a_slow_reader_stops_the_source (void **state)
{
  Fixture *f = *state;
  static guint8 zeros[65536];
  gsize sent = 0;
  start_relay (f, 0, 0);
  for (guint still = 0; still < 20;)
    {
      const gssize n = send (f->outer_a, zeros, sizeof zeros, 0);
      sent += n > 0 ? (gsize) n : 0;
      still = n > 0 ? 0 : still + 1;
      usher_loop_turn (f->loop, 0);
    }
  /* Kernel buffers of two socket pairs and one block, not everything the sender has. */
  assert_true (sent < 4 * 1024 * 1024);
  assert_true (usher_pool_in_use (f->pool) <= 1);
  gsize got = 0;
  while (got < sent)
    {
      const gssize n = recv (f->outer_b, zeros, sizeof zeros, 0);
      got += n > 0 ? (gsize) n : 0;
      usher_loop_turn (f->loop, 0);
    }
  assert_int_equal (got, sent);
}

static void
a_vanished_side_ends_it (void **state)
{
  Fixture *f = *state;
  start_relay (f, 0, 0);
  turn (f, 2);
  send (f->outer_b, "x", 1, 0); /* makes the close a reset for the far side's next write */
  close (f->outer_a);
  f->outer_a = dup (f->outer_b);
  shutdown (f->outer_b, SHUT_WR);
  turn_until_done (f);
  assert_true (f->end == USHER_RELAY_A_FAILED || f->end == USHER_RELAY_ENDED);
}

static void
an_idle_limit_ends_it (void **state)
{
  Fixture *f = *state;
  start_relay (f, 200, 0);
  send (f->outer_a, "x", 1, 0);
  const gint64 before = g_get_monotonic_time ();
  turn_until_done (f);
  assert_int_equal (f->end, USHER_RELAY_IDLE);
  assert_true (g_get_monotonic_time () - before >= 200000);
}

static void
a_half_closed_limit_ends_it (void **state)
{
  Fixture *f = *state;
  start_relay (f, 0, 150);
  shutdown (f->outer_a, SHUT_WR);
  turn_until_done (f);
  assert_int_equal (f->end, USHER_RELAY_LINGERED);
  assert_true (f->a_ended_first);
}

static void
an_empty_pool_only_delays (void **state)
{
  Fixture *f = *state;
  char got[4];
  g_clear_pointer (&f->pool, usher_pool_free);
  f->pool = usher_pool_new (1, 1);
  UsherBuffer hog;
  usher_buffer_init (&hog, f->pool);
  assert_true (usher_buffer_append (&hog, "h", 1));
  start_relay (f, 0, 0);
  send (f->outer_a, "abc", 3, 0);
  turn (f, 3);
  assert_true (recv (f->outer_b, got, sizeof got, 0) < 0);
  usher_buffer_clear (&hog);
  for (guint i = 0; i < 40 && recv (f->outer_b, got, sizeof got, MSG_PEEK) != 3; i++)
    usher_loop_turn (f->loop, 20);
  assert_int_equal (recv (f->outer_b, got, sizeof got, 0), 3);
}

static void
given_back_bytes_come_first (void **state)
{
  Fixture *f = *state;
  char got[16] = "";
  usher_stream_unread (f->a, (const guint8 *) "REDQ", 4);
  send (f->outer_a, "rest", 4, 0);
  start_relay (f, 0, 0);
  turn (f, 4);
  assert_int_equal (recv (f->outer_b, got, sizeof got, 0), 8);
  assert_memory_equal (got, "REDQrest", 8);
}

/* --- TLS --------------------------------------------------------------------------------------- */

typedef struct {
  char *dir, *cert, *key;
} Pki;

static Pki
make_pki (void)
{
  Pki pki = { .dir = g_dir_make_tmp ("usher-relay-XXXXXX", NULL) };
  pki.cert = g_build_filename (pki.dir, "cert.pem", NULL);
  pki.key = g_build_filename (pki.dir, "key.pem", NULL);
  g_autofree char *command = g_strdup_printf ("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
                                              "-keyout %s -out %s -days 2 -subj /CN=door.test "
                                              "-addext subjectAltName=DNS:door.test",
                                              pki.key, pki.cert);
  assert_true (g_spawn_command_line_sync (command, NULL, NULL, NULL, NULL));
  return pki;
}

static void
free_pki (Pki *pki)
{
  g_unlink (pki->cert);
  g_unlink (pki->key);
  g_rmdir (pki->dir);
  g_free (pki->dir);
  g_free (pki->cert);
  g_free (pki->key);
}

/* Puts TLS between: outer_a -> [a relay b=TLS client] ~~ [TLS server = c relay d] -> outer_d. */
static void
tls_pair (Fixture *f, const Pki *pki, const char *peer, UsherStream **out_server)
{
  const UsherTlsFiles both = { pki->cert, pki->key, pki->cert, FALSE };
  g_autoptr (GError) error = NULL;
  g_autoptr (UsherTls) server = usher_tls_new_server (&both, &error);
  g_autoptr (UsherTls) client = usher_tls_new_client (&both, &error);
  assert_null (error);
  int fds[2];
  assert_int_equal (socketpair (AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
  usher_stream_free (f->b);
  f->b = usher_tls_stream_new (client, f->loop, fds[0], peer, &error);
  assert_null (error);
  *out_server = usher_tls_stream_new (server, f->loop, fds[1], NULL, &error);
  assert_null (error);
}

static void
bytes_pass_mutual_tls_and_close_in_order (void **state)
{
  Fixture *f = *state;
  Pki pki = make_pki ();
  UsherStream *server = NULL;
  tls_pair (f, &pki, "door.test", &server);
  Fixture g = { .loop = f->loop, .pool = f->pool, .a = server };
  g.b = usher_socket_stream_new (f->loop, pair_with (&g.outer_b), NULL);
  start_relay (f, 0, 0);
  start_relay (&g, 0, 0);
  push_through (f, f->outer_a, g.outer_b, 400000);
  push_through (f, g.outer_b, f->outer_a, 400000);
  shutdown (f->outer_a, SHUT_WR);
  turn (f, 6);
  char got[4];
  assert_int_equal (recv (g.outer_b, got, sizeof got, 0), 0);
  push_through (f, g.outer_b, f->outer_a, 100000); /* still open this way */
  shutdown (g.outer_b, SHUT_WR);
  turn_until_done (f);
  turn_until_done (&g);
  assert_int_equal (f->end, USHER_RELAY_ENDED);
  assert_int_equal (g.end, USHER_RELAY_ENDED);
  usher_relay_free (g.relay);
  usher_stream_free (g.a);
  usher_stream_free (g.b);
  close (g.outer_b);
  free_pki (&pki);
}

static void
a_certificate_for_another_name_is_refused (void **state)
{
  Fixture *f = *state;
  Pki pki = make_pki ();
  UsherStream *server = NULL;
  tls_pair (f, &pki, "other.test", &server);
  gssize client_result = USHER_IO_AGAIN;
  for (guint i = 0; i < 20 && client_result == USHER_IO_AGAIN; i++)
    {
      client_result = usher_tls_stream_handshake (f->b);
      usher_tls_stream_handshake (server);
    }
  assert_int_equal (client_result, USHER_IO_FAILED);
  assert_non_null (strstr (usher_stream_reason (f->b), "mismatch"));
  usher_stream_free (server);
  free_pki (&pki);
}

/* --- the loop's own parts ------------------------------------------------------------------------ */

typedef struct {
  UsherLoop *loop;
  UsherTimer timers[3];
  GString *fired;
} Timers;

static void
fire_first (gpointer user_data)
{
  Timers *t = user_data;
  g_string_append_c (t->fired, '1');
  usher_timer_disarm (t->loop, &t->timers[1]); /* due at the same time */
}

static void
fire_other (gpointer user_data)
{
  g_string_append_c (((Timers *) user_data)->fired, 'x');
}

static void
timers_fire_once_not_early_and_can_disarm_each_other (void **state)
{
  Timers t = { .loop = usher_loop_new (NULL), .fired = g_string_new (NULL) };
  const gint64 begin = g_get_monotonic_time ();
  usher_timer_arm (t.loop, &t.timers[0], 60, fire_first, &t);
  usher_timer_arm (t.loop, &t.timers[1], 60, fire_other, &t);
  usher_timer_arm (t.loop, &t.timers[2], 120000, fire_other, &t);
  while (t.fired->len == 0)
    usher_loop_turn (t.loop, -1);
  assert_true (g_get_monotonic_time () - begin >= 60000);
  usher_loop_turn (t.loop, 100);
  assert_string_equal (t.fired->str, "1");
  usher_timer_disarm (t.loop, &t.timers[2]);
  usher_loop_free (t.loop);
  g_string_free (t.fired, TRUE);
}

static void
count_up (gpointer user_data)
{
  ++*(guint *) user_data;
}

static gpointer
post_from_thread (gpointer data)
{
  gpointer *args = data;
  for (guint i = 0; i < 1000; i++)
    usher_loop_post (args[0], count_up, args[1], NULL);
  return NULL;
}

static void
posts_of_other_threads_arrive (void **state)
{
  UsherLoop *loop = usher_loop_new (NULL);
  guint count = 0;
  gpointer args[] = { loop, &count };
  GThread *thread = g_thread_new ("poster", post_from_thread, args);
  while (count < 1000)
    usher_loop_turn (loop, 100);
  g_thread_join (thread);
  usher_loop_free (loop);
}

static void
addresses_parse_or_say_why (void **state)
{
  static const char *const good[] = { "127.0.0.1:443", "[::1]:443", "unix:/run/x.sock", "localhost:1", ":8443", "*:1" };
  static const char *const bad[] = { "", "443", "host:443", "1.2.3.4:65536", "1.2.3.4:-1", "unix:rel", "[::1:4", "1.2.3.4:" };
  UsherAddress address;
  for (guint i = 0; i < G_N_ELEMENTS (good); i++)
    assert_true (usher_address_parse (good[i], &address, NULL));
  for (guint i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autoptr (GError) error = NULL;
      assert_false (usher_address_parse (bad[i], &address, &error));
      assert_true (g_error_matches (error, USHER_ERROR, USHER_ERROR_INVALID));
    }
}

static void
a_link_key_opens_what_it_sealed_and_nothing_else (void **state)
{
  guint8 cipher[USHER_LINK_CIPHER_SIZE];
  g_autoptr (GError) error = NULL;
  g_autoptr (UsherLinkKey) key = usher_link_key_new (&error);
  g_autoptr (UsherLinkKey) other = usher_link_key_new (&error);
  assert_null (error);
  g_autoptr (UsherSecret) secret = usher_secret_new_string ("a password");
  assert_true (usher_link_key_encrypt (usher_link_key_der (key), secret, cipher, &error));
  g_autoptr (UsherSecret) opened = usher_link_key_decrypt (key, cipher);
  assert_true (usher_secret_equal (secret, opened));
  assert_null (usher_link_key_decrypt (other, cipher));
  guint8 garbage[USHER_LINK_KEY_DER_SIZE] = { 0x30, 0x81 };
  assert_false (usher_link_key_encrypt (garbage, secret, cipher, &error));
  assert_true (g_error_matches (error, USHER_ERROR, USHER_ERROR_INVALID));
}

int
main (void)
{
#define RELAY_TEST(name) cmocka_unit_test_setup_teardown (name, setup, teardown)
  const struct CMUnitTest tests[] = {
    RELAY_TEST (bytes_arrive_in_order_both_ways),
    RELAY_TEST (an_idle_relay_holds_no_block),
    RELAY_TEST (a_half_close_goes_through_and_the_other_way_stays_open),
    RELAY_TEST (a_slow_reader_stops_the_source),
    RELAY_TEST (a_vanished_side_ends_it),
    RELAY_TEST (an_idle_limit_ends_it),
    RELAY_TEST (a_half_closed_limit_ends_it),
    RELAY_TEST (an_empty_pool_only_delays),
    RELAY_TEST (given_back_bytes_come_first),
    RELAY_TEST (bytes_pass_mutual_tls_and_close_in_order),
    RELAY_TEST (a_certificate_for_another_name_is_refused),
    cmocka_unit_test (timers_fire_once_not_early_and_can_disarm_each_other),
    cmocka_unit_test (posts_of_other_threads_arrive),
    cmocka_unit_test (addresses_parse_or_say_why),
    cmocka_unit_test (a_link_key_opens_what_it_sealed_and_nothing_else),
  };
  cmocka_set_message_output (CM_OUTPUT_TAP);
  return sodium_init () < 0 ? 1 : cmocka_run_group_tests (tests, NULL, NULL);
}
