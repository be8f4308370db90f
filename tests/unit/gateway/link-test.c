/* SPICE's link stage: captured bytes of real clients and servers, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "common/error.h"
#include "gateway/spice/link.h"

/* spice-gtk 0.42's main link: common capabilities 0x0d, main 0x0f. */
static const guint8 main_link[] = {
  'R', 'E', 'D', 'Q', 2, 0, 0, 0, 2, 0, 0, 0, 26, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 18, 0, 0, 0,
  0x0d, 0, 0, 0, 0x0f, 0, 0, 0,
};

static void
a_link_is_read_as_it_was_meant (void **state)
{
  UsherSpiceLink link;
  UsherSpiceResult result;
  assert_int_equal (usher_spice_link_parse (main_link, sizeof main_link, &link, &result, NULL), sizeof main_link);
  assert_int_equal (link.channel_type, USHER_SPICE_CHANNEL_MAIN);
  assert_int_equal (link.connection_id, 0);
  assert_true (usher_spice_caps_have (&link.common, USHER_SPICE_CAP_AUTH_SELECTION));
  assert_true (usher_spice_caps_have (&link.common, USHER_SPICE_CAP_MINI_HEADER));
  assert_int_equal (link.channel.words[0], 0x0f);
}

static void
a_part_of_a_link_asks_for_more (void **state)
{
  UsherSpiceLink link;
  UsherSpiceResult result;
  for (gsize i = 0; i < sizeof main_link; i++)
    assert_int_equal (usher_spice_link_parse (main_link, i, &link, &result, NULL), 0);
}

static void
what_is_built_is_what_was_parsed (void **state)
{
  UsherSpiceLink link;
  UsherSpiceResult result;
  usher_spice_link_parse (main_link, sizeof main_link, &link, &result, NULL);
  g_autoptr (GByteArray) bytes = usher_spice_link_build (&link);
  assert_int_equal (bytes->len, sizeof main_link);
  assert_memory_equal (bytes->data, main_link, sizeof main_link);
}

static void
capabilities_elsewhere_are_brought_to_normal_form (void **state)
{
  guint8 moved[sizeof main_link + 4];
  memcpy (moved, main_link, sizeof main_link);
  memcpy (moved + 38, main_link + 34, 8); /* 4 bytes further, with a hole before */
  moved[12] = 30;
  moved[30] = 22;
  UsherSpiceLink link;
  UsherSpiceResult result;
  assert_int_equal (usher_spice_link_parse (moved, sizeof moved, &link, &result, NULL), sizeof moved);
  g_autoptr (GByteArray) bytes = usher_spice_link_build (&link);
  assert_memory_equal (bytes->data, main_link, sizeof main_link);
}

/* A change of one byte of a good link, and what the client gets for it. */
static const struct {
  guint at;
  guint8 value;
  UsherSpiceResult result;
} wrong[] = {
  { 0, 'G', USHER_SPICE_INVALID_MAGIC },   { 4, 1, USHER_SPICE_VERSION_MISMATCH }, { 12, 17, USHER_SPICE_INVALID_DATA },
  { 13, 0x11, USHER_SPICE_INVALID_DATA },  { 15, 0xff, USHER_SPICE_INVALID_DATA }, { 22, 2, USHER_SPICE_INVALID_DATA },
  { 25, 0x80, USHER_SPICE_INVALID_DATA },  { 26, 33, USHER_SPICE_INVALID_DATA },   { 30, 17, USHER_SPICE_INVALID_DATA },
  { 30, 22, USHER_SPICE_INVALID_DATA },    { 33, 0xff, USHER_SPICE_INVALID_DATA },
};

static void
a_wrong_byte_is_refused_with_its_own_answer (void **state)
{
  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++)
    {
      guint8 bytes[sizeof main_link];
      UsherSpiceLink link;
      UsherSpiceResult result = USHER_SPICE_OK;
      g_autoptr (GError) error = NULL;
      memcpy (bytes, main_link, sizeof bytes);
      bytes[wrong[i].at] = wrong[i].value;
      assert_int_equal (usher_spice_link_parse (bytes, sizeof bytes, &link, &result, &error), -1);
      assert_int_equal (result, wrong[i].result);
      assert_true (g_error_matches (error, USHER_ERROR, USHER_ERROR_INVALID));
    }
}

static void
a_reply_goes_there_and_back (void **state)
{
  UsherSpiceReply reply = { .error = USHER_SPICE_OK }, again;
  memset (reply.key, 0x5a, sizeof reply.key);
  assert_true (usher_spice_caps_announced (USHER_SPICE_CHANNEL_DISPLAY, &reply.common, &reply.channel));
  g_autoptr (GByteArray) bytes = usher_spice_reply_build (&reply);
  assert_int_equal (usher_spice_reply_parse (bytes->data, bytes->len, &again, NULL), bytes->len);
  assert_memory_equal (again.key, reply.key, sizeof reply.key);
  assert_true (usher_spice_caps_cover (&again.channel, &reply.channel));
  for (gsize i = 0; i < bytes->len; i++)
    assert_int_equal (usher_spice_reply_parse (bytes->data, i, &again, NULL), 0);
}

static void
a_short_refusal_is_a_refusal (void **state)
{
  static const guint8 refused[] = { 'R', 'E', 'D', 'Q', 2, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 9, 0, 0, 0 };
  UsherSpiceReply reply;
  assert_int_equal (usher_spice_reply_parse (refused, sizeof refused, &reply, NULL), sizeof refused);
  assert_int_equal (reply.error, USHER_SPICE_CHANNEL_NOT_AVAILABLE);
}

static void
a_server_must_have_what_was_announced_and_may_have_more (void **state)
{
  UsherSpiceCaps common, announced;
  assert_true (usher_spice_caps_announced (USHER_SPICE_CHANNEL_MAIN, &common, &announced));
  const UsherSpiceCaps same = { 1, { 0xf } }, more = { 2, { 0xff, 1 } }, less = { 1, { 0x7 } }, none = { 0, { 0 } };
  assert_true (usher_spice_caps_cover (&same, &announced));
  assert_true (usher_spice_caps_cover (&more, &announced));
  assert_false (usher_spice_caps_cover (&less, &announced));
  assert_false (usher_spice_caps_cover (&none, &announced));
  assert_false (usher_spice_caps_announced (0, &common, &announced));
  assert_false (usher_spice_caps_announced (7, &common, &announced));
  assert_false (usher_spice_caps_announced (255, &common, &announced));
}

static void
the_session_s_id_is_found_under_both_headers (void **state)
{
  static const guint8 mini[] = { 103, 0, 32, 0, 0, 0, 0x44, 0x33, 0x22, 0x11 };
  static const guint8 full[] = { 1, 0, 0, 0, 0, 0, 0, 0, 103, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0x44, 0x33, 0x22, 0x11 };
  static const guint8 other[] = { 4, 0, 32, 0, 0, 0, 0, 0, 0, 0 };
  guint32 id = 0;
  g_autoptr (GError) error = NULL;
  assert_true (usher_spice_main_init_parse (mini, sizeof mini, TRUE, &id, NULL) > 0);
  assert_int_equal (id, 0x11223344);
  id = 0;
  assert_true (usher_spice_main_init_parse (full, sizeof full, FALSE, &id, NULL) > 0);
  assert_int_equal (id, 0x11223344);
  assert_int_equal (usher_spice_main_init_parse (mini, 9, TRUE, &id, NULL), 0);
  assert_int_equal (usher_spice_main_init_parse (other, sizeof other, TRUE, &id, &error), -1);
  assert_non_null (error);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (a_link_is_read_as_it_was_meant),
    cmocka_unit_test (a_part_of_a_link_asks_for_more),
    cmocka_unit_test (what_is_built_is_what_was_parsed),
    cmocka_unit_test (capabilities_elsewhere_are_brought_to_normal_form),
    cmocka_unit_test (a_wrong_byte_is_refused_with_its_own_answer),
    cmocka_unit_test (a_reply_goes_there_and_back),
    cmocka_unit_test (a_short_refusal_is_a_refusal),
    cmocka_unit_test (a_server_must_have_what_was_announced_and_may_have_more),
    cmocka_unit_test (the_session_s_id_is_found_under_both_headers),
  };
  cmocka_set_message_output (CM_OUTPUT_TAP);
  return cmocka_run_group_tests_name ("link", tests, NULL, NULL);
}
