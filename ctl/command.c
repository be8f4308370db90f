#include "ctl/command.h"
#include "common/error.h"
#include "config.h"
#include <stdio.h>
#include <string.h>

const UsherCommand usher_commands[] = {
  { "signin", "USER", "Sign in and keep the session for later commands",
    "The password is asked for on the terminal, or read from --password-file FILE (- for standard input); it is\n"
    "never an argument. The session is kept in $XDG_CONFIG_HOME/usher/session.json.",
    1, 1, "password-file", TRUE, usher_ctl_signin },
  { "signout", "", "End the session", NULL, 0, 0, "", TRUE, usher_ctl_signout },
  { "whoami", "", "Say who is signed in, and where", NULL, 0, 0, "", TRUE, usher_ctl_whoami },
  { "apply", "-f FILE", "Make or change records as a YAML file says",
    "FILE (- for standard input) holds documents with kind, name and spec, divided by ---. A resource_version that is\n"
    "given must be the record's present one. All documents are read before the first is applied; it stops at the first\n"
    "that is refused. What `get -o yaml` prints can be applied again.",
    0, 0, "file", TRUE, usher_ctl_apply },
  { "get", "KIND [NAME]", "List records, or print one", NULL, 1, 2, "limit", TRUE, usher_ctl_get },
  { "describe", "KIND NAME", "Print all of one record, and why it is as it is", NULL, 2, 2, "", TRUE, usher_ctl_describe },
  { "delete", "KIND NAME", "Delete a record; a pool's desktops drain first", NULL, 2, 2, "", TRUE, usher_ctl_delete },
  { "watch", "KIND", "Print the records of a kind, then every change", NULL, 1, 1, "timeout", TRUE, usher_ctl_watch },
  { "why", "ID | KIND NAME", "Explain how a record came to be as it is", NULL, 1, 2, "", TRUE, usher_ctl_why },
  { "host-token", "NAME", "Print a one-time token with which a host of that name joins", NULL, 1, 1, "", TRUE,
    usher_ctl_host_token },
  { "connect", "POOL", "Ask for a desktop of a pool and print how to open it",
    "Waits until the desktop is ready, at most --timeout SECONDS (300). With --vv FILE it writes a file for\n"
    "remote-viewer, which holds the ticket: it is good for seconds, and once.",
    1, 1, "vv client timeout", TRUE, usher_ctl_connect },
  { "restart", "DESKTOP", "Restart one of your own desktops, by name or id", NULL, 1, 1, "", TRUE, usher_ctl_restart },
  { "completion", "bash|zsh", "Print a completion script for a shell",
    "  source <(usherctl completion bash)", 1, 1, "", FALSE, usher_ctl_completion },
  { .name = NULL },
};

static GQuark
misuse_quark (void)
{
  return g_quark_from_static_string ("usherctl-misuse");
}

gboolean
usher_ctl_misuse (GError **error, const char *format, ...)
{
  va_list arguments;

  va_start (arguments, format);
  g_propagate_error (error, g_error_new_valist (misuse_quark (), 0, format, arguments));
  va_end (arguments);
  return FALSE;
}

const char *
usher_ctl_kind (const char *text, GError **error)
{
  const char *kind = usher_kind_find (text);

  if (kind == NULL) {
    g_autofree char *all = g_strjoinv (", ", (char **) usher_kind_names ());
    usher_ctl_misuse (error, "there is no kind «%s»; there are %s", text, all);
  }
  return kind;
}

static int
exit_status (const GError *error)
{
  if (error->domain == misuse_quark () || error->domain == G_OPTION_ERROR)
    return 2;
  switch (usher_error_code (error)) {
  case USHER_ERROR_UNAVAILABLE:
  case USHER_ERROR_BUSY:
  case USHER_ERROR_INTERNAL:
    return 3;
  default:
    return 1;
  }
}

static void
print_overview (FILE *out)
{
  fputs ("Usage: usherctl COMMAND [OPTION…] [ARGUMENT…]\n\nCommands:\n", out);
  for (const UsherCommand *c = usher_commands; c->name != NULL; c++)
    fprintf (out, "  %-11s %-15s %s\n", c->name, c->arguments, c->summary);
  fputs ("\nusherctl COMMAND --help says more. Exit status: 0 done, 1 refused or failed, 2 wrong command line,\n"
         "3 could not find out (no answer, or the server could not find out itself).\n",
         out);
}

/* The entries of `all` that are common or named in `wanted`. */
static GOptionEntry *
select_options (const GOptionEntry *all, const char *wanted)
{
  g_auto (GStrv) names = g_strsplit (wanted, " ", -1);
  GArray *selected = g_array_new (TRUE, TRUE, sizeof (GOptionEntry));

  for (gsize i = 0; all[i].long_name != NULL; i++)
    if (i < 3 || g_strv_contains ((const char *const *) names, all[i].long_name))
      g_array_append_val (selected, all[i]);
  return (GOptionEntry *) g_array_free (selected, FALSE);
}

static gboolean
parse_options (UsherCtl *ctl, const UsherCommand *command, int *argc, char ***argv, GError **error)
{
  UsherCtlOptions *o = &ctl->options;
  const GOptionEntry all[] = {
    { "server", 0, 0, G_OPTION_ARG_STRING, &o->server, "https://HOST[:PORT] or unix:/PATH ($USHER_SERVER; else the last)", "URL" },
    { "ca", 0, 0, G_OPTION_ARG_FILENAME, &o->ca_file, "Authorities (PEM) that may vouch for it ($USHER_CA; else the last)", "FILE" },
    { "output", 'o', 0, G_OPTION_ARG_STRING, &o->output_text, "json, yaml, table or name", "FORMAT" },
    { "file", 'f', 0, G_OPTION_ARG_FILENAME, &o->file, "YAML to apply, - for standard input", "FILE" },
    { "password-file", 0, 0, G_OPTION_ARG_FILENAME, &o->password_file, "Where the password is, - for standard input", "FILE" },
    { "vv", 0, 0, G_OPTION_ARG_FILENAME, &o->vv_file, "Write a remote-viewer file", "FILE" },
    { "client", 0, 0, G_OPTION_ARG_STRING, &o->client, "browser or spice (the default)", "KIND" },
    { "timeout", 0, 0, G_OPTION_ARG_INT, &o->timeout_s, "Wait no longer", "SECONDS" },
    { "limit", 0, 0, G_OPTION_ARG_INT, &o->limit, "So many of the newest (audit)", "N" },
    { .long_name = NULL },
  };
  g_autofree GOptionEntry *entries = select_options (all, command->options);
  g_autofree char *usage = g_strdup_printf ("%s - %s", command->arguments, command->summary);
  g_autofree char *program = g_strdup_printf ("usherctl %s", command->name);
  g_autoptr (GOptionContext) context = g_option_context_new (usage);

  g_set_prgname (program);
  g_option_context_add_main_entries (context, entries, NULL);
  g_option_context_set_description (context, command->details);
  return g_option_context_parse (context, argc, argv, error);
}

/* The server to ask: as told, as the environment says, as the last sign-in used. */
static gboolean
open_client (UsherCtl *ctl, GError **error)
{
  const char *server = ctl->options.server != NULL ? ctl->options.server : g_getenv ("USHER_SERVER");
  const char *ca_file = ctl->options.ca_file != NULL ? ctl->options.ca_file : g_getenv ("USHER_CA");
  const char *token = NULL;

  ctl->session = usher_ctl_session_load (error);
  if (ctl->session == NULL)
    return FALSE;
  if (server == NULL)
    server = ctl->session->server;
  if (server == NULL)
    return usher_ctl_misuse (error, "which server? Sign in with --server https://HOST[:PORT]");
  /* A session's token goes to the server that gave it, and to no other. */
  if (g_strcmp0 (server, ctl->session->server) == 0) {
    token = ctl->session->token;
    ca_file = ca_file != NULL ? ca_file : ctl->session->ca_file;
  }
  if (ctl->options.server != server)
    g_free (g_steal_pointer (&ctl->options.server));
  if (ctl->options.server == NULL)
    ctl->options.server = g_strdup (server);
  if (ctl->options.ca_file == NULL)
    ctl->options.ca_file = g_strdup (ca_file);
  ctl->client = usher_client_new (server, ctl->options.ca_file, token, error);
  return ctl->client != NULL;
}

static gboolean
run (UsherCtl *ctl, const UsherCommand *command, int argc, char **argv, GError **error)
{
  if (!parse_options (ctl, command, &argc, &argv, error))
    return FALSE;
  ctl->words = argv + 1;
  ctl->count = (guint) argc - 1;
  if (ctl->count < command->least || ctl->count > command->most)
    return usher_ctl_misuse (error, "usage: usherctl %s %s", command->name, command->arguments);
  ctl->output_given = ctl->options.output_text != NULL;
  if (ctl->output_given && !usher_output_parse (ctl->options.output_text, &ctl->output))
    return usher_ctl_misuse (error, "-o %s: not json, yaml, table or name", ctl->options.output_text);
  return (!command->connects || open_client (ctl, error)) && command->run (ctl, error);
}

static void
clear (UsherCtl *ctl)
{
  UsherCtlOptions *o = &ctl->options;
  char *texts[] = { o->server, o->ca_file, o->output_text, o->file, o->password_file, o->vv_file, o->client };

  for (gsize i = 0; i < G_N_ELEMENTS (texts); i++)
    g_free (texts[i]);
  usher_ctl_session_free (ctl->session);
  usher_client_free (ctl->client);
}

static int
run_command (const UsherCommand *command, int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  UsherCtl ctl = { 0 };
  gboolean done = run (&ctl, command, argc, argv, &error);

  clear (&ctl);
  if (fflush (stdout) != 0 && done)
    done = usher_ctl_misuse (&error, "standard output can't be written");
  if (done)
    return 0;
  fprintf (stderr, "usherctl: %s\n", error->message);
  return exit_status (error);
}

int
usher_ctl_main (int argc, char **argv)
{
  const char *name = argc > 1 ? argv[1] : "";

  if (strcmp (name, "--help") == 0 || strcmp (name, "-h") == 0 || strcmp (name, "help") == 0) {
    print_overview (stdout);
    return 0;
  }
  if (strcmp (name, "--version") == 0) {
    puts (PACKAGE_STRING);
    return 0;
  }
  for (const UsherCommand *c = usher_commands; c->name != NULL; c++)
    if (strcmp (c->name, name) == 0)
      return run_command (c, argc - 1, argv + 1);
  if (*name != '\0')
    fprintf (stderr, "usherctl: there is no command «%s»\n\n", name);
  print_overview (stderr);
  return 2;
}
