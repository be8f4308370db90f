/* usherctl: the administrator's command line. */
#include "ctl/command.h"
#include <locale.h>

int
main (int argc, char **argv)
{
  setlocale (LC_ALL, "");
  return usher_ctl_main (argc, argv);
}
