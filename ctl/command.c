#include "ctl/command.h"
#include "common/error.h"
#include "config.h"
#include "ctl/interrupt.h"
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
  { "refresh", "DESKTOP", "Give a desktop a fresh system; its data disk is kept",
    "Only desktops of pools whose assignment is fresh-system have a data disk. Sessions of it end.", 1, 1, "", TRUE,
    usher_ctl_refresh },
  { "connect", "POOL", "Ask for a desktop of a pool and print how to open it",
    "Waits until the desktop is ready, at most --timeout SECONDS (300). With --vv FILE it writes a file for\n"
    "remote-viewer, which holds the ticket: it is good for seconds, and once.",
    1, 1, "vv client timeout", TRUE, usher_ctl_connect },
  { "restart", "DESKTOP", "Restart one of your own desktops, by name or id", NULL, 1, 1, "", TRUE, usher_ctl_restart },
  { "template build", "RECIPE", "Make a version of a template with a recipe, and upload it",
    "RECIPE is one of those that come with Usher (debian-desktop, tiny), or a recipe's folder (with a slash in its name).\n"
    "Most must be run as root. Without --cache everything is made anew in a private folder, which is removed.",
    1, 1, "cache rebuild note publish", TRUE, usher_ctl_template_build },
  { "template import", "IMAGE|FOLDER", "Upload a disk image, or a recipe's result, as a template's version",
    "IMAGE is a qcow2, raw, vmdk, vhdx or vpc image. It is looked at and converted by a confined process; what refers to\n"
    "other files or is encrypted is refused. FOLDER holds manifest.json and the files it names, as recipes and\n"
    "template export write them. Interrupted, the same command goes on with the upload.",
    1, 1, "name kernel initrd cmdline guest firmware vcpus ram-mib ready manifest note publish", TRUE, usher_ctl_template_import },
  { "template versions", "NAME", "List the versions of a template", NULL, 1, 1, "", TRUE, usher_ctl_template_versions },
  { "template publish", "NAME VERSION", "Give pools that name no version this one", NULL, 2, 2, "", TRUE, usher_ctl_template_publish },
  { "template rollback", "NAME", "Publish the version again that was published before", NULL, 1, 1, "", TRUE, usher_ctl_template_rollback },
  { "template retire", "NAME VERSION", "Let nobody use a version any more; its files go", NULL, 2, 2, "", TRUE, usher_ctl_template_retire },
  { "template export", "NAME VERSION FOLDER", "Download a version",
    "What is there already is kept: the same command goes on where it stopped. Checksums are compared at the end.",
    3, 3, "", TRUE, usher_ctl_template_export },
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
  if (usher_interrupt_signal () != 0)
    return 128 + usher_interrupt_signal ();
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

/* `group`: only the commands whose names begin with it («template »); NULL all. */
static void
print_overview (FILE *out, const char *group)
{
  fprintf (out, "Usage: usherctl %sCOMMAND [OPTION…] [ARGUMENT…]\n\nCommands:\n", group != NULL ? group : "");
  for (const UsherCommand *c = usher_commands; c->name != NULL; c++)
    if (group == NULL || g_str_has_prefix (c->name, group))
      fprintf (out, "  %-18s %-19s %s\n", c->name, c->arguments, c->summary);
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
    { "cache", 0, 0, G_OPTION_ARG_FILENAME, &o->cache, "Where versions and downloads are kept for the next time", "FOLDER" },
    { "rebuild", 0, 0, G_OPTION_ARG_NONE, &o->rebuild, "Make a new version although the recipe is the same", NULL },
    { "name", 0, 0, G_OPTION_ARG_STRING, &o->name, "The template's name", "NAME" },
    { "kernel", 0, 0, G_OPTION_ARG_FILENAME, &o->kernel, "Boot this Linux kernel, not the disk", "FILE" },
    { "initrd", 0, 0, G_OPTION_ARG_FILENAME, &o->initrd, "With this initial RAM disk", "FILE" },
    { "cmdline", 0, 0, G_OPTION_ARG_STRING, &o->cmdline, "And this command line", "TEXT" },
    { "guest", 0, 0, G_OPTION_ARG_STRING, &o->guest, "linux (the default), windows or other", "KIND" },
    { "firmware", 0, 0, G_OPTION_ARG_STRING, &o->firmware, "bios (the default) or uefi", "KIND" },
    { "vcpus", 0, 0, G_OPTION_ARG_INT, &o->vcpus, "What a desktop usually gets (2)", "N" },
    { "ram-mib", 0, 0, G_OPTION_ARG_INT, &o->ram_mib, "And how much memory (2048)", "N" },
    { "ready", 0, 0, G_OPTION_ARG_STRING, &o->ready, "agent: when the guest agent answers; running: when it runs", "RULE" },
    { "manifest", 0, 0, G_OPTION_ARG_FILENAME, &o->manifest, "Everything else, as YAML or JSON (templates' manifest.json)", "FILE" },
    { "note", 0, 0, G_OPTION_ARG_STRING, &o->note, "What changed, for people", "TEXT" },
    { "publish", 0, 0, G_OPTION_ARG_NONE, &o->publish, "Publish it at once", NULL },
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
  char *texts[] = { o->server, o->ca_file, o->output_text, o->file,    o->password_file, o->vv_file, o->client, o->name,
                    o->kernel, o->initrd,  o->cmdline,     o->guest,   o->firmware,      o->ready,   o->note,   o->manifest,
                    o->cache };

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

static gboolean
is_help (const char *word)
{
  return strcmp (word, "--help") == 0 || strcmp (word, "-h") == 0 || strcmp (word, "help") == 0;
}

/* The command that the first one or two words name; *out_words is how many. */
static const UsherCommand *
find_command (int argc, char **argv, int *out_words)
{
  g_autofree char *two = argc > 2 ? g_strdup_printf ("%s %s", argv[1], argv[2]) : NULL;

  for (const UsherCommand *c = usher_commands; c->name != NULL; c++) {
    *out_words = strchr (c->name, ' ') != NULL ? 2 : 1;
    if (g_strcmp0 (c->name, *out_words == 2 ? two : argv[1]) == 0)
      return c;
  }
  return NULL;
}

/* "template " for «usherctl template …» when the second word names nothing; NULL: there is no such group. */
static char *
find_group (const char *name)
{
  g_autofree char *group = g_strconcat (name, " ", NULL);

  for (const UsherCommand *c = usher_commands; c->name != NULL; c++)
    if (g_str_has_prefix (c->name, group))
      return g_steal_pointer (&group);
  return NULL;
}

static int
no_command (int argc, char **argv)
{
  g_autofree char *group = argc > 1 ? find_group (argv[1]) : NULL;

  if (group != NULL && argc > 2 && is_help (argv[2])) {
    print_overview (stdout, group);
    return 0;
  }
  if (group != NULL && argc > 2)
    fprintf (stderr, "usherctl: there is no command «%s%s»\n\n", group, argv[2]);
  else if (group == NULL && argc > 1 && *argv[1] != '\0')
    fprintf (stderr, "usherctl: there is no command «%s»\n\n", argv[1]);
  print_overview (stderr, group);
  return 2;
}

int
usher_ctl_main (int argc, char **argv)
{
  const UsherCommand *command;
  int words = 1;

  if (argc > 1 && is_help (argv[1])) {
    print_overview (stdout, NULL);
    return 0;
  }
  if (argc > 1 && strcmp (argv[1], "--version") == 0) {
    puts (PACKAGE_STRING);
    return 0;
  }
  command = argc > 1 ? find_command (argc, argv, &words) : NULL;
  return command != NULL ? run_command (command, argc - words, argv + words) : no_command (argc, argv);
}
