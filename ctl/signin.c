/* usherctl signin, signout, whoami */
#include "common/error.h"
#include "common/json.h"
#include "common/secret.h"
#include "ctl/command.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define PASSWORD_LIMIT 1024

/* One line from `file` without its newline. NULL: nothing was there, or it is too long. */
static UsherSecret *
read_line (FILE *file, GError **error)
{
  char line[PASSWORD_LIMIT + 2];
  UsherSecret *secret = NULL;

  if (fgets (line, sizeof line, file) == NULL)
    g_set_error_literal (error, USHER_ERROR, USHER_ERROR_INVALID, "no password was given");
  else if (strlen (line) > PASSWORD_LIMIT)
    g_set_error (error, USHER_ERROR, USHER_ERROR_TOO_LARGE, "the password has over %d bytes", PASSWORD_LIMIT);
  else
    secret = usher_secret_new (line, strcspn (line, "\n"));
  explicit_bzero (line, sizeof line);
  return secret;
}

static UsherSecret *
prompt (const char *user, const char *server, GError **error)
{
  FILE *terminal = fopen ("/dev/tty", "r+");
  struct termios before, silent;
  UsherSecret *secret;

  if (terminal == NULL || tcgetattr (fileno (terminal), &before) != 0) {
    g_clear_pointer (&terminal, fclose);
    usher_ctl_misuse (error, "there is no terminal to ask on: use --password-file");
    return NULL;
  }
  setvbuf (terminal, NULL, _IONBF, 0);
  fprintf (terminal, "Password of %s at %s: ", user, server);
  silent = before;
  silent.c_lflag &= ~(tcflag_t) ECHO;
  tcsetattr (fileno (terminal), TCSAFLUSH, &silent);
  secret = read_line (terminal, error);
  tcsetattr (fileno (terminal), TCSAFLUSH, &before);
  fputc ('\n', terminal);
  fclose (terminal);
  return secret;
}

static UsherSecret *
get_password (UsherCtl *ctl, GError **error)
{
  const char *path = ctl->options.password_file;

  if (path == NULL)
    return prompt (ctl->words[0], ctl->options.server, error);
  return strcmp (path, "-") == 0 ? read_line (stdin, error) : usher_secret_read_file (path, error);
}

static gboolean
keep_session (UsherCtl *ctl, const char *token, GError **error)
{
  UsherCtlSession kept = {
    .server = ctl->options.server,
    .ca_file = ctl->options.ca_file != NULL ? g_canonicalize_filename (ctl->options.ca_file, NULL) : NULL,
    .user = ctl->words[0],
    .token = (char *) token,
  };
  gboolean done = usher_ctl_session_save (&kept, error);

  g_free (kept.ca_file);
  return done;
}

gboolean
usher_ctl_signin (UsherCtl *ctl, GError **error)
{
  g_autoptr (UsherSecret) password = get_password (ctl, error);
  g_auto (UsherAnswer) answer = { 0 };
  json_auto_t *body = NULL;

  if (password == NULL)
    return FALSE;
  body = json_pack ("{s:s, s:s}", "user", ctl->words[0], "password", usher_secret_peek (password));
  if (body == NULL)
    return usher_ctl_misuse (error, "the name or the password is not UTF-8 text");
  if (!usher_client_call (ctl->client, "POST", "/signin", body, &answer, error))
    return FALSE;
  if (answer.token == NULL) {
    g_set_error_literal (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "the server gave no session: is it an Usher gateway?");
    return FALSE;
  }
  if (!keep_session (ctl, answer.token, error))
    return FALSE;
  printf ("signed in as %s\n", usher_json_string (json_object_get (answer.body, "user"), "name"));
  return TRUE;
}

gboolean
usher_ctl_signout (UsherCtl *ctl, GError **error)
{
  g_auto (UsherAnswer) answer = { 0 };
  g_autoptr (GError) problem = NULL;

  if (!usher_client_call (ctl->client, "POST", "/signout", NULL, &answer, &problem) &&
      usher_error_code (problem) != USHER_ERROR_UNAUTHENTICATED) {
    g_propagate_error (error, g_steal_pointer (&problem));
    return FALSE;
  }
  g_clear_pointer (&ctl->session->token, g_free);
  return usher_ctl_session_save (ctl->session, error);
}

gboolean
usher_ctl_whoami (UsherCtl *ctl, GError **error)
{
  g_auto (UsherAnswer) answer = { 0 };
  const json_t *user;

  if (!usher_client_call (ctl->client, "GET", "/me", NULL, &answer, error))
    return FALSE;
  user = json_object_get (answer.body, "user");
  if (ctl->output == USHER_OUTPUT_TABLE || ctl->output == USHER_OUTPUT_NAME) {
    printf ("%s at %s\n", usher_json_string (user, "name"), ctl->options.server);
    return TRUE;
  }
  g_autofree char *text = usher_output_value (ctl->output, answer.body);
  fputs (text, stdout);
  return TRUE;
}
