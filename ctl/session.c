#include "ctl/session.h"
#include "common/error.h"
#include "common/json.h"
#include <errno.h>
#include <string.h>

static char *
dup_directory (void)
{
  return g_build_filename (g_get_user_config_dir (), "usher", NULL);
}

static char *
dup_member (const json_t *object, const char *key)
{
  const char *text = usher_json_string (object, key);
  return *text != '\0' ? g_strdup (text) : NULL;
}

UsherCtlSession *
usher_ctl_session_load (GError **error)
{
  g_autofree char *directory = dup_directory ();
  g_autofree char *path = g_build_filename (directory, "session.json", NULL);
  g_autoptr (UsherCtlSession) session = g_new0 (UsherCtlSession, 1);
  g_autoptr (GError) problem = NULL;
  json_auto_t *object = usher_json_read_file (path, &problem);

  if (g_error_matches (problem, USHER_ERROR, USHER_ERROR_MISSING))
    return g_steal_pointer (&session);
  if (object == NULL) {
    g_propagate_prefixed_error (error, g_steal_pointer (&problem), "the sign-in can't be read (remove the file): ");
    return NULL;
  }
  session->server = dup_member (object, "server");
  session->ca_file = dup_member (object, "ca_file");
  session->user = dup_member (object, "user");
  session->token = dup_member (object, "token");
  return g_steal_pointer (&session);
}

gboolean
usher_ctl_session_save (const UsherCtlSession *session, GError **error)
{
  g_autofree char *directory = dup_directory ();
  g_autofree char *path = g_build_filename (directory, "session.json", NULL);
  json_auto_t *object = json_pack ("{s:s?, s:s?, s:s?, s:s?}", "server", session->server, "ca_file", session->ca_file,
                                   "user", session->user, "token", session->token);

  if (g_mkdir_with_parents (directory, 0700) != 0) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "%s: %s", directory, g_strerror (errno));
    return FALSE;
  }
  return usher_json_write_file (path, object, 0600, error);
}

void
usher_ctl_session_free (UsherCtlSession *session)
{
  if (session == NULL)
    return;
  g_free (session->server);
  g_free (session->ca_file);
  g_free (session->user);
  if (session->token != NULL)
    explicit_bzero (session->token, strlen (session->token));
  g_free (session->token);
  g_free (session);
}
