/* The door's greeting and its answer. */
#include "common/rpc/door.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  UsherService service;
  UsherDoorStatus status;
  const char *grant = NULL;
  gsize length = 0;
  g_autofree char *message = NULL;
  g_autoptr (GError) request_error = NULL, answer_error = NULL;
  const gssize used = usher_door_request_parse (data, size, &service, &grant, &length, &request_error);
  g_assert_true (used <= (gssize) size && (used < 0) == (request_error != NULL));
  if (used > 0)
    g_assert_true (length >= 1 && length <= USHER_GRANT_MAX && (const uint8_t *) grant + length <= data + size);
  const gssize answered = usher_door_answer_parse (data, size, &status, &message, &answer_error);
  g_assert_true (answered <= (gssize) size && (answered < 0) == (answer_error != NULL));
  if (answered > 0)
    g_assert_true (g_utf8_validate (message, -1, NULL));
  return 0;
}
