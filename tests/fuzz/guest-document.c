/* What a guest is told of itself: whatever comes in, it is a whole document or an error that says what is wrong. */
#include <string.h>

#include "templates/guest/document.h"
#include "tests/fuzz/fuzz.h"

int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  UsherGuestDocument document;
  char error[USHER_GUEST_ERROR_SIZE] = "";
  bool good = usher_guest_document_parse ((const char *) data, size, &document, error);
  if (good == (*error != '\0') || memchr (error, '\0', sizeof error) == NULL)
    __builtin_trap ();
  bool bare = document.hostname[0] == '\0' && document.machine_id[0] == '\0';
  if (good && document.user_only != bare)
    __builtin_trap ();
  if (good && !bare && (strlen (document.hostname) - 1 > 62 || strlen (document.machine_id) != 32 || document.time.tv_nsec > 999999999))
    __builtin_trap ();
  return 0;
}
