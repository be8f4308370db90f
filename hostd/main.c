/* usher-hostd: one KVM host of a deployment.
 *
 *     usher-hostd --config FILE                    the daemon
 *     usher-hostd join --config FILE --broker …    see join/join.h
 *     usher-hostd list-templates DIR               the golden templates usable here */
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/start.h"
#include "hostd/daemon.h"
#include "hostd/join/command.h"
#include "hostd/settings.h"
#include "hostd/storage/template_store.h"

static int
list_templates (int argc, char **argv)
{
  if (argc != 2)
    {
      fprintf (stderr, "usher-hostd list-templates: takes the template directory\n");
      return 2;
    }
  g_autoptr (UsherTemplateStore) store = usher_template_store_new (argv[1]);
  g_auto (GStrv) names = usher_template_store_list (store);
  for (gsize i = 0; names[i] != NULL; i++)
    puts (names[i]);
  return 0;
}

static const struct {
  const char *name;
  int (*func) (int argc, char **argv);
} commands[] = { { "join", usher_join_command }, { "list-templates", list_templates } };

static int
run_daemon (int argc, char **argv)
{
  int status;
  g_autoptr (UsherSettings) settings = usher_start (usher_hostd_schema, "usher-hostd", "hostd", argc, argv, &status);
  if (settings == NULL)
    return status;
  return usher_hostd_run (settings);
}

int
main (int argc, char **argv)
{
  usher_log_init ("usher-hostd", USHER_LOG_INFO);
  for (gsize i = 0; argc > 1 && i < G_N_ELEMENTS (commands); i++)
    if (strcmp (argv[1], commands[i].name) == 0)
      return commands[i].func (argc - 1, argv + 1);
  return run_daemon (argc, argv);
}
