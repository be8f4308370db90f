#include "common/fault.h"

#ifdef USHER_FAULT_POINTS
#include <glib.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The count of NAME:COUNT; 1 without one; 0 when `wanted` names another point. */
static int
wanted_count (const char *wanted, const char *name)
{
  size_t length = strlen (name);
  if (strncmp (wanted, name, length) != 0)
    return 0;
  if (wanted[length] == '\0')
    return 1;
  return wanted[length] == ':' ? atoi (wanted + length + 1) : 0;
}

#define HELD_S 60

/* Until the file is there again. */
static void
hold (const char *file)
{
  for (int i = 0; i < HELD_S * 100 && access (file, F_OK) != 0; i++)
    g_usleep (10000);
}

void
usher_fault_point (const char *name)
{
  static gint passed, held;
  const char *wanted = g_getenv ("USHER_FAULT");
  int count = wanted != NULL ? wanted_count (wanted, name) : 0;
  if (count == 0 || g_atomic_int_add (&passed, 1) + 1 < count)
    return;

  const char *file = g_getenv ("USHER_FAULT_FILE");
  if (g_atomic_int_get (&held) || (file != NULL && unlink (file) != 0))
    return;
  if (file == NULL || g_getenv ("USHER_FAULT_HOLD") == NULL)
    kill (getpid (), SIGKILL);
  g_atomic_int_set (&held, TRUE);
  hold (file);
}
#endif

/* ISO C wants at least one declaration when the points are compiled out. */
typedef int usher_fault_unit;
