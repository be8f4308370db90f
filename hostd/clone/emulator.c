#include "hostd/clone/emulator.h"

#include <stddef.h>
#include <string.h>

#include "hostd/clone/handover.h"

/* Whether the word holds `part` as a whole member of a QEMU option list. */
static bool
has_member (const char *word, const char *part)
{
  size_t length = strlen (part);
  for (const char *at = strstr (word, part); at != NULL; at = strstr (at + 1, part))
    if ((at == word || at[-1] == ',') && (at[length] == '\0' || at[length] == ','))
      return true;
  return false;
}

bool
usher_emulator_wants_ram (char *const *argv)
{
  for (size_t i = 0; argv[i] != NULL; i++)
    if (i > 0 && strcmp (argv[i - 1], "-object") == 0 && has_member (argv[i], "mem-path=" USHER_HANDOVER_MEM_PATH))
      return true;
  return false;
}

const char *
usher_emulator_uuid (char *const *argv)
{
  for (size_t i = 0; argv[i] != NULL; i++)
    if (strcmp (argv[i], "-uuid") == 0)
      return argv[i + 1];
  return NULL;
}
