/* The WebSocket stream on a carrier that the test fills and empties. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "gateway/ws/ws_stream.h"

typedef struct {
  UsherStream base;
  GByteArray *in, *out;
  gboolean ended, blocked; /* reading ends; writing gives AGAIN */
} Carrier;

static gssize
carrier_read (UsherStream *stream, guint8 *bytes, gsize length)
{
  Carrier *carrier = (Carrier *) stream;
  const gsize n = MIN (length, carrier->in->len);
  if (n == 0)
    return carrier->ended ? USHER_IO_END : USHER_IO_AGAIN;
  memcpy (bytes, carrier->in->data, n);
  g_byte_array_remove_range (carrier->in, 0, (guint) n);
  return (gssize) n;
}

static gssize
carrier_write (UsherStream *stream, const guint8 *bytes, gsize length)
{
  Carrier *carrier = (Carrier *) stream;
  if (carrier->blocked)
    return USHER_IO_AGAIN;
  const gsize n = MIN (length, 1000);
  g_byte_array_append (carrier->out, bytes, (guint) n);
  return (gssize) n;
}

static gssize
carrier_finish (UsherStream *stream)
{
  return 0;
}

static void
carrier_free (UsherStream *stream)
{
  Carrier *carrier = (Carrier *) stream;
  g_byte_array_unref (carrier->in);
  g_byte_array_unref (carrier->out);
  g_free (carrier);
}

static const UsherStreamClass carrier_class = {
  .name = "test", .read = carrier_read, .write = carrier_write, .finish = carrier_finish, .free = carrier_free,
};

typedef struct {
  UsherPool *pool;
  Carrier *carrier;
  UsherStream *ws;
} Fixture;

static int
setup (void **state)
{
  Fixture *f = g_new0 (Fixture, 1);
  f->pool = usher_pool_new (4, 4);
  f->carrier = g_new0 (Carrier, 1);
  f->carrier->base.klass = &carrier_class;
  f->carrier->in = g_byte_array_new ();
  f->carrier->out = g_byte_array_new ();
  f->ws = usher_ws_stream_new (&f->carrier->base, f->pool);
  *state = f;
  return 0;
}

static int
teardown (void **state)
{
  Fixture *f = *state;
  usher_stream_free (f->ws);
  assert_int_equal (usher_pool_in_use (f->pool), 0);
  usher_pool_free (f->pool);
  g_free (f);
  return 0;
}

/* A client's frame of fewer than 126 bytes, masked. */
static void
client_sends (Fixture *f, guint8 first, const char *text)
{
  static const guint8 mask[4] = { 1, 2, 3, 4 };
  const guint8 head[] = { first, (guint8) (0x80 | strlen (text)) };
  g_byte_array_append (f->carrier->in, head, sizeof head);
  g_byte_array_append (f->carrier->in, mask, sizeof mask);
  for (gsize i = 0; i < strlen (text); i++)
    {
      const guint8 byte = (guint8) text[i] ^ mask[i % 4];
      g_byte_array_append (f->carrier->in, &byte, 1);
    }
}

static void
expect_read (Fixture *f, const char *text)
{
  guint8 bytes[64];
  gsize got = 0;
  gssize n;
  while (got < strlen (text) && (n = usher_stream_read (f->ws, bytes + got, sizeof bytes - got)) > 0)
    got += (gsize) n;
  assert_int_equal (got, strlen (text));
  assert_memory_equal (bytes, text, got);
}

static gssize
read_once (Fixture *f)
{
  guint8 byte;
  return usher_stream_read (f->ws, &byte, 1);
}

static void
payload_comes_out_whatever_the_frames (void **state)
{
  Fixture *f = *state;
  client_sends (f, 0x82, "one,");
  client_sends (f, 0x02, "two,");
  client_sends (f, 0x89, "ping");
  client_sends (f, 0x00, "");
  client_sends (f, 0x80, "three");
  expect_read (f, "one,two,three");
  assert_int_equal (read_once (f), USHER_IO_AGAIN);
  assert_int_equal (f->carrier->out->len, 6);
  assert_memory_equal (f->carrier->out->data, "\x8a\x04ping", 6); /* the pong, unmasked */
}

static void
what_is_written_is_framed_and_kept_until_it_is_gone (void **state)
{
  Fixture *f = *state;
  static guint8 bytes[20000];
  f->carrier->blocked = TRUE;
  const gssize n = usher_stream_write (f->ws, bytes, sizeof bytes);
  assert_true (n > 0 && n <= USHER_BLOCK_SIZE);
  assert_int_equal (usher_stream_write (f->ws, bytes, 10), USHER_IO_AGAIN);
  assert_int_equal (usher_stream_flush (f->ws), USHER_IO_AGAIN);
  f->carrier->blocked = FALSE;
  assert_int_equal (usher_stream_flush (f->ws), 0);
  assert_int_equal (f->carrier->out->len, (guint) n + 4);
  assert_int_equal (f->carrier->out->data[0], 0x82);
  assert_int_equal (f->carrier->out->data[1], 126);
  assert_int_equal (f->carrier->out->data[2] << 8 | f->carrier->out->data[3], n);
}

static void
a_close_is_the_end_and_is_answered_by_finishing (void **state)
{
  Fixture *f = *state;
  client_sends (f, 0x82, "x");
  client_sends (f, 0x88, "\x03\xe8");
  client_sends (f, 0x82, "too late");
  expect_read (f, "x");
  assert_int_equal (read_once (f), USHER_IO_END);
  assert_int_equal (read_once (f), USHER_IO_END);
  assert_int_equal (usher_stream_finish (f->ws), 0);
  assert_memory_equal (f->carrier->out->data, "\x88\x02\x03\xe8", 4);
}

static void
the_carrier_s_end_is_the_end_between_frames_only (void **state)
{
  Fixture *f = *state;
  client_sends (f, 0x82, "whole");
  f->carrier->ended = TRUE;
  expect_read (f, "whole");
  assert_int_equal (read_once (f), USHER_IO_END);
  assert_int_equal (read_once (f), USHER_IO_END);
}

static void
a_frame_cut_short_is_a_failure (void **state)
{
  Fixture *f = *state;
  client_sends (f, 0x82, "whole");
  g_byte_array_set_size (f->carrier->in, f->carrier->in->len - 2);
  f->carrier->ended = TRUE;
  expect_read (f, "who");
  assert_int_equal (read_once (f), USHER_IO_FAILED);
}

static void
wrong_frames_are_failures (void **state)
{
  Fixture *f = *state;
  static const guint8 firsts[] = { 0x81, 0xc2, 0x80, 0x09, 0x83, 0x8b };
  for (guint i = 0; i < G_N_ELEMENTS (firsts); i++)
    {
      void *one = NULL;
      setup (&one);
      Fixture *g = one;
      client_sends (g, firsts[i], "x");
      assert_int_equal (read_once (g), USHER_IO_FAILED);
      teardown (&one);
    }
  g_byte_array_append (f->carrier->in, (const guint8 *) "\x82\x01x", 3); /* not masked */
  assert_int_equal (read_once (f), USHER_IO_FAILED);
}

static void
the_accept_key_is_the_rfc_s (void **state)
{
  g_autofree char *key = usher_ws_accept_key ("dGhlIHNhbXBsZSBub25jZQ==");
  assert_string_equal (key, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

int
main (void)
{
#define WS_TEST(name) cmocka_unit_test_setup_teardown (name, setup, teardown)
  const struct CMUnitTest tests[] = {
    WS_TEST (payload_comes_out_whatever_the_frames),
    WS_TEST (what_is_written_is_framed_and_kept_until_it_is_gone),
    WS_TEST (a_close_is_the_end_and_is_answered_by_finishing),
    WS_TEST (the_carrier_s_end_is_the_end_between_frames_only),
    WS_TEST (a_frame_cut_short_is_a_failure),
    WS_TEST (wrong_frames_are_failures),
    cmocka_unit_test (the_accept_key_is_the_rfc_s),
  };
  cmocka_set_message_output (CM_OUTPUT_TAP);
  return cmocka_run_group_tests_name ("ws", tests, NULL, NULL);
}
