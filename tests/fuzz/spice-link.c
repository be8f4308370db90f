/* SPICE's link stage: a client's link, a server's reply, and the first message of a main channel. What was
 * understood is built again and must be understood as the same. */
#include <string.h>
#include "gateway/spice/link.h"
#include "tests/fuzz/fuzz.h"

static void
same_again (const UsherSpiceLink *link)
{
  UsherSpiceLink again;
  UsherSpiceResult result;
  g_autoptr (GByteArray) bytes = usher_spice_link_build (link);
  g_assert_cmpint (usher_spice_link_parse (bytes->data, bytes->len, &again, &result, NULL), ==, bytes->len);
  g_assert_cmpuint (again.connection_id, ==, link->connection_id);
  g_assert_cmpuint (again.common.count, ==, link->common.count);
  g_assert_true (usher_spice_caps_cover (&again.channel, &link->channel));
}

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  UsherSpiceLink link;
  UsherSpiceReply reply;
  UsherSpiceResult result = USHER_SPICE_OK;
  g_autoptr (GError) link_error = NULL, reply_error = NULL;
  const gssize used = usher_spice_link_parse (data, size, &link, &result, &link_error);
  g_assert_true (used <= (gssize) size && (used < 0) == (link_error != NULL) && (used >= 0 || result != USHER_SPICE_OK));
  if (used > 0)
    same_again (&link);
  g_assert_true (usher_spice_reply_parse (data, size, &reply, &reply_error) <= (gssize) size);
  for (int mini = 0; mini < 2; mini++)
    {
      guint32 id;
      g_autoptr (GError) error = NULL;
      g_assert_true (usher_spice_main_init_parse (data, size, mini, &id, &error) <= (gssize) size);
    }
  return 0;
}
