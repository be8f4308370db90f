/* Asks the directory as the broker does: a settings file in argv[1], then questions on standard input, one a
 * line, fields separated by tabs ("sign-in\tNAME\tPASSWORD", "look-up\tNAME", "probe"); one line of JSON for each.
 * With a second argument N, each question is asked by N threads at once, each with its own UsherDirectory. */
#include "broker/auth/directory.h"
#include "broker/auth/directory_settings.h"
#include "common/error.h"
#include "common/json.h"
#include "common/log.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const UsherSetting schema[] = { USHER_DIRECTORY_SETTINGS, { .section = NULL } };

static json_t *
strings (char **list)
{
  json_t *array = json_array ();
  for (gsize i = 0; list != NULL && list[i] != NULL; i++)
    json_array_append_new (array, json_string (list[i]));
  return array;
}

static json_t *
person_to_json (const UsherPerson *person)
{
  return json_pack ("{s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:s?}", "answer", "yes", "name", person->name, "dn", person->dn,
                    "display_name", person->display_name, "mail", person->mail, "groups", strings (person->groups),
                    "group_names", strings (person->group_names), "locked", person->locked);
}

static json_t *
ask (UsherDirectory *directory, char **words)
{
  g_autoptr (UsherPerson) person = NULL;
  g_autoptr (GError) error = NULL;
  guint count = g_strv_length (words);
  gint64 begun_us = g_get_monotonic_time ();
  json_t *answer;

  if (count == 3 && strcmp (words[0], "sign-in") == 0) {
    g_autoptr (UsherSecret) password = usher_secret_new_string (words[2]);
    usher_directory_sign_in (directory, words[1], password, &person, &error);
  } else if (count == 2 && strcmp (words[0], "look-up") == 0) {
    usher_directory_look_up (directory, words[1], &person, &error);
  } else {
    usher_directory_probe (directory, &error);
  }
  answer = error != NULL ? json_pack ("{s:s, s:s}", "answer", usher_error_name (usher_error_code (error)), "message",
                                      error->message)
           : person != NULL ? person_to_json (person)
                            : json_pack ("{s:s}", "answer", "yes");
  json_object_set_new (answer, "ms", json_integer ((g_get_monotonic_time () - begun_us) / 1000));
  return answer;
}

typedef struct {
  UsherDirectory *directory;
  char **words;
} Job;

static gpointer
run_job (gpointer data)
{
  Job *job = data;
  return ask (job->directory, job->words);
}

static void
ask_all (UsherDirectory **directories, guint count, char **words)
{
  g_autofree Job *jobs = g_new0 (Job, count);
  g_autofree GThread **threads = g_new0 (GThread *, count);

  for (guint i = 0; i < count; i++) {
    jobs[i] = (Job){ directories[i], words };
    threads[i] = g_thread_new ("ask", run_job, &jobs[i]);
  }
  for (guint i = 0; i < count; i++) {
    json_auto_t *answer = g_thread_join (threads[i]);
    g_autofree char *line = usher_json_to_line (answer);
    puts (line);
  }
  fflush (stdout);
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (UsherSettings) settings = NULL;
  g_autoptr (UsherDirectorySetup) setup = NULL;
  guint count = argc > 2 ? (guint) atoi (argv[2]) : 1;
  g_autofree UsherDirectory **directories = g_new0 (UsherDirectory *, count);
  char line[4096];

  signal (SIGPIPE, SIG_IGN);
  usher_log_init ("ask", USHER_LOG_INFO);
  settings = usher_settings_load (schema, argv[1], &error);
  setup = settings != NULL ? usher_directory_setup_new (settings, &error) : NULL;
  if (setup == NULL) {
    fprintf (stderr, "%s\n", error->message);
    return 2;
  }
  for (guint i = 0; i < count; i++)
    directories[i] = usher_directory_new (setup);
  while (fgets (line, sizeof line, stdin) != NULL) {
    g_auto (GStrv) words = g_strsplit (g_strdelimit (line, "\n", 0), "\t", -1);
    ask_all (directories, count, words);
  }
  for (guint i = 0; i < count; i++)
    usher_directory_free (directories[i]);
  return 0;
}
