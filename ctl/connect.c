/* usherctl connect, restart: what a person does in the portal */
#include "common/error.h"
#include "common/id.h"
#include "common/json.h"
#include "ctl/command.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WAIT_S 300
#define ASK_WAIT_S 20 /* how long the broker is let wait in one question */

/* Waits a while before asking again; FALSE when the time is over. */
static gboolean
wait_for_desktop (const UsherAnswer *answer, const char *what, gint64 until_us, GError **error)
{
  guint wait_ms = answer->retry_after_ms > 0 ? answer->retry_after_ms : 1000;
  gint64 eta_s = answer->body != NULL ? usher_json_int (answer->body, "eta_s") : 0;

  if (g_get_monotonic_time () + (gint64) wait_ms * 1000 > until_us) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "the desktop is not ready yet: %s", what);
    return FALSE;
  }
  if (isatty (STDERR_FILENO) && eta_s > 0)
    fprintf (stderr, "starting, about %" G_GINT64_FORMAT " s\n", eta_s);
  g_usleep ((gulong) wait_ms * 1000);
  return TRUE;
}

static gint64
end_of_wait (const UsherCtl *ctl)
{
  int wait_s = ctl->options.timeout_s > 0 ? ctl->options.timeout_s : WAIT_S;
  return g_get_monotonic_time () + (gint64) wait_s * G_USEC_PER_SEC;
}

static gboolean
write_viewer_file (UsherCtl *ctl, GError **error)
{
  g_autofree char *path = usher_client_path ("pools", ctl->words[0], "connect.vv", NULL);
  gint64 until_us = end_of_wait (ctl);

  while (TRUE) {
    g_auto (UsherAnswer) answer = { 0 };
    g_autoptr (GError) problem = NULL;
    if (usher_client_call (ctl->client, "GET", path, NULL, &answer, &problem)) {
      if (g_file_set_contents_full (ctl->options.vv_file, answer.text, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0600, &problem))
        return TRUE;
      g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "%s", problem->message);
      return FALSE;
    }
    /* 503 with Retry-After: it is starting. Without: nobody knows. */
    if (answer.status != 503 || answer.retry_after_ms == 0) {
      g_propagate_error (error, g_steal_pointer (&problem));
      return FALSE;
    }
    if (!wait_for_desktop (&answer, problem->message, until_us, error))
      return FALSE;
  }
}

static void
print_ticket (UsherCtl *ctl, const json_t *ticket)
{
  const json_t *desktop = json_object_get (ticket, "desktop");

  if (ctl->output == USHER_OUTPUT_JSON || ctl->output == USHER_OUTPUT_YAML) {
    g_autofree char *text = usher_output_value (ctl->output, ticket);
    fputs (text, stdout);
    return;
  }
  printf ("desktop  %s\nurl      %s\nticket   %s\nexpires  in %" G_GINT64_FORMAT " s\n", usher_json_string (desktop, "name"),
          usher_json_string (ticket, "url"), usher_json_string (ticket, "ticket"), usher_json_int (ticket, "expires_in_s"));
}

gboolean
usher_ctl_connect (UsherCtl *ctl, GError **error)
{
  const char *client = ctl->options.client != NULL ? ctl->options.client : "spice";
  g_autofree char *path = usher_client_path ("pools", ctl->words[0], "connect", NULL);
  json_auto_t *body = json_pack ("{s:s}", "client", client);
  gint64 until_us = end_of_wait (ctl);

  if (ctl->options.vv_file != NULL)
    return write_viewer_file (ctl, error);
  if (strcmp (client, "spice") != 0 && strcmp (client, "browser") != 0)
    return usher_ctl_misuse (error, "--client %s: neither spice nor browser", client);
  while (TRUE) {
    g_auto (UsherAnswer) answer = { 0 };
    if (!usher_client_call (ctl->client, "POST", path, body, &answer, error))
      return FALSE;
    if (answer.status == 200) {
      print_ticket (ctl, answer.body);
      return TRUE;
    }
    if (!wait_for_desktop (&answer, usher_json_string (json_object_get (answer.body, "desktop"), "reason"), until_us, error))
      return FALSE;
    /* Said once that it starts; from now on the broker answers when it is there. */
    gint64 left_s = (until_us - g_get_monotonic_time ()) / G_USEC_PER_SEC;
    json_object_set_new (body, "wait_s", json_integer (CLAMP (left_s, 0, ASK_WAIT_S)));
  }
}

static char *
find_desktop (UsherCtl *ctl, const char *name, GError **error)
{
  g_auto (UsherAnswer) answer = { 0 };
  json_t *desktop;
  gsize i;

  if (usher_id_is_valid (name))
    return g_strdup (name);
  if (!usher_client_call (ctl->client, "GET", "/desktops", NULL, &answer, error))
    return NULL;
  json_array_foreach (json_object_get (answer.body, "items"), i, desktop)
    if (strcmp (usher_json_string (desktop, "name"), name) == 0)
      return g_strdup (usher_json_string (desktop, "id"));
  g_set_error (error, USHER_ERROR, USHER_ERROR_MISSING, "you have no desktop «%s»", name);
  return NULL;
}

gboolean
usher_ctl_restart (UsherCtl *ctl, GError **error)
{
  g_autofree char *id = find_desktop (ctl, ctl->words[0], error);
  g_autofree char *path = id != NULL ? usher_client_path ("desktops", id, "restart", NULL) : NULL;
  g_auto (UsherAnswer) answer = { 0 };

  if (path == NULL || !usher_client_call (ctl->client, "POST", path, NULL, &answer, error))
    return FALSE;
  printf ("%s is restarting\n", ctl->words[0]);
  return TRUE;
}
