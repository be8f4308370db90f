/* The JSON documents between the parts: redeem, session events, sync. What is taken is written again and
 * taken as the same. */
#include "common/json.h"
#include "common/rpc/redeem.h"
#include "common/rpc/sync.h"
#include "tests/fuzz/fuzz.h"

/* Reads and writes as one of them; NULL when it is none. */
#define AGAIN(Type, prefix)                                                                                            \
  static json_t *again_##prefix (const json_t *json)                                                                   \
  {                                                                                                                    \
    g_autoptr (GError) error = NULL;                                                                                   \
    g_autoptr (Type) value = prefix##_from_json (json, &error);                                                        \
    g_assert_true ((value == NULL) == (error != NULL));                                                                \
    return value != NULL ? prefix##_to_json (value) : NULL;                                                            \
  }

AGAIN (UsherRedeemRequest, usher_redeem_request)
AGAIN (UsherRedeemAnswer, usher_redeem_answer)
AGAIN (UsherSessionEvent, usher_session_event)
AGAIN (UsherSyncRequest, usher_sync_request)
AGAIN (UsherSyncAnswer, usher_sync_answer)

static json_t *(*const kinds[]) (const json_t *) = {
  again_usher_redeem_request, again_usher_redeem_answer, again_usher_session_event,
  again_usher_sync_request,   again_usher_sync_answer,
};

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GError) error = NULL;
  json_auto_t *json = usher_json_parse ((const char *) data, size, "input", &error);
  g_assert_true ((json == NULL) == (error != NULL));
  if (json == NULL)
    return 0;
  g_autofree char *line = usher_json_to_line (json);
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
    {
      json_auto_t *once = kinds[i](json);
      if (once == NULL)
        continue;
      json_auto_t *twice = kinds[i](once);
      g_assert_true (twice != NULL && json_equal (once, twice));
    }
  return 0;
}
