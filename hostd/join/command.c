#include "hostd/join/command.h"

#include <stdio.h>
#include <string.h>

#include "hostd/join/join.h"
#include "hostd/settings.h"

typedef struct {
  char *config, *broker, *token, *token_file, *ca;
} Options;

static gboolean
parse (int argc, char **argv, Options *options, GError **error)
{
  GOptionEntry entries[] = {
    { "config", 0, 0, G_OPTION_ARG_FILENAME, &options->config, "hostd.conf", "FILE" },
    { "broker", 0, 0, G_OPTION_ARG_STRING, &options->broker, "The deployment's address", "https://HOST:PORT" },
    { "token", 0, 0, G_OPTION_ARG_STRING, &options->token, "The one-time token (others on this machine may see it: see --token-file)", "TOKEN" },
    { "token-file", 0, 0, G_OPTION_ARG_FILENAME, &options->token_file, "Reads the token from a file", "FILE" },
    { "ca", 0, 0, G_OPTION_ARG_FILENAME, &options->ca, "The deployment's CA, when it is at hand", "FILE" },
    { NULL, 0, 0, 0, NULL, NULL, NULL },
  };
  g_autoptr (GOptionContext) context = g_option_context_new ("— makes this machine a host of a deployment");
  g_option_context_add_main_entries (context, entries, NULL);
  if (!g_option_context_parse (context, &argc, &argv, error))
    return FALSE;
  if (argc > 1 || options->config == NULL || options->broker == NULL || (options->token == NULL) == (options->token_file == NULL))
    {
      g_set_error_literal (error, G_OPTION_ERROR, G_OPTION_ERROR_FAILED, "--config, --broker and one of --token, --token-file are needed");
      return FALSE;
    }
  return TRUE;
}

static gboolean
carry_out (Options *options, GError **error)
{
  gboolean already;
  g_autoptr (UsherSecret) token = options->token != NULL ? usher_secret_take_string (options->token)
                                                         : usher_secret_read_file (options->token_file, error);
  g_autoptr (UsherSettings) settings = token != NULL ? usher_settings_load (usher_hostd_schema, options->config, error) : NULL;
  UsherJoin join = { options->broker, token, options->ca };
  if (settings == NULL || !usher_join (settings, &join, &already, error))
    return FALSE;
  printf ("%s: %s\n", usher_hostd_settings_name (settings), already ? "joined already" : "joined");
  return TRUE;
}

int
usher_join_command (int argc, char **argv)
{
  Options options = { NULL, NULL, NULL, NULL, NULL };
  g_autoptr (GError) error = NULL;
  int status = 0;
  if (!parse (argc, argv, &options, &error))
    status = 2;
  else if (!carry_out (&options, &error))
    status = 1;
  if (status != 0)
    fprintf (stderr, "usher-hostd join: %s\n", error->message);
  g_free (options.config);
  g_free (options.broker);
  g_free (options.token);
  g_free (options.token_file);
  g_free (options.ca);
  return status;
}
