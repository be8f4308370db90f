/* Signing in and out, and who is signed in.
 *
 *     begin ── store: may this attempt be? ── directory: yes, no, could not find out ── store: settle, answer
 *
 * Every "no" takes the same time and the same words, so that no one learns which accounts there are. */
#include <string.h>
#include "broker/api/api_private.h"
#include "broker/api/call_private.h"
#include "broker/api/cookie.h"
#include "broker/api/handlers.h"
#include "broker/auth/directory.h"
#include "common/error.h"
#include "common/fault.h"

#define NO_TAKES_MS 300
#define DIRECTORY_BEGIN_MS 8000

typedef struct {
  char *user, *user_key;
  UsherSecret *password;
  UsherPerson *person; /* the directory's yes */
  GError *why;         /* or its no */
} SignIn;

static void
sign_in_free (SignIn *sign_in)
{
  g_free (sign_in->user);
  g_free (sign_in->user_key);
  usher_secret_free (sign_in->password);
  usher_person_free (sign_in->person);
  g_clear_error (&sign_in->why);
  g_free (sign_in);
}

static json_t *
me_body (const char *user, const char *display_name, gboolean admin, gint64 left_s)
{
  json_t *roles = json_pack ("[s]", "user");
  if (admin)
    json_array_append_new (roles, json_string ("admin"));
  return json_pack ("{s:{s:s, s:s, s:o}, s:I}", "user", "name", user, "display_name", display_name, "roles", roles,
                    "expires_in_s", (json_int_t) MAX (left_s, 0));
}

static guint
session_ttl_s (UsherCall *call)
{
  return (guint) usher_settings_get_int (call->api->parts.settings, "broker", "session_ttl_s");
}

static gboolean
settle_yes (UsherCall *call, UsherStore *store, SignIn *sign_in, GError **error)
{
  const UsherPerson *person = sign_in->person;
  const UsherActor actor = { .name = person->name, .address = call->client, .request = call->request };
  char token[USHER_TOKEN_SIZE];
  guint ttl_s = session_ttl_s (call);
  if (!usher_store_sign_in_done (store, sign_in->user_key, person, &actor, ttl_s, token, error))
    return FALSE;
  USHER_FAULT_POINT ("api.signin.done");
  g_autofree char *cookie = usher_cookie_format (token, ttl_s);
  const char *group = usher_settings_get_string (call->api->parts.settings, "broker", "admin_group");
  usher_call_set_header (call, "Set-Cookie", cookie);
  usher_call_answer (call, 200, me_body (person->name, person->display_name, usher_person_in_group (person, group), ttl_s));
  return TRUE;
}

static gboolean
settle_no (UsherCall *call, UsherStore *store, SignIn *sign_in, GError **error)
{
  const UsherActor actor = { .name = sign_in->user, .address = call->client, .request = call->request };
  if (!usher_store_sign_in_failed (store, sign_in->user_key, &actor, sign_in->why, error))
    return FALSE;
  if (usher_error_code (sign_in->why) == USHER_ERROR_REFUSED)
    usher_call_add_reason (call, "account", sign_in->why->message);
  g_propagate_error (error, g_steal_pointer (&sign_in->why));
  return FALSE;
}

static gboolean
settle_step (UsherCall *call, UsherStore *store, GError **error)
{
  SignIn *sign_in = call->data;
  return sign_in->person != NULL ? settle_yes (call, store, sign_in, error) : settle_no (call, store, sign_in, error);
}

static void
settle (UsherCall *call)
{
  g_autoptr (GError) error = NULL;
  if (!usher_call_run (call, settle_step, &error))
    usher_call_finish (call, error);
}

static gpointer
ask_directory_work (gpointer state, gpointer job, GError **error)
{
  UsherCall *call = job;
  SignIn *sign_in = call->data;
  UsherPerson *person = NULL;
  return usher_directory_sign_in (state, sign_in->user, sign_in->password, &person, error) ? person : NULL;
}

static void
directory_answered (gpointer result, const GError *error, gpointer user_data)
{
  g_autoptr (UsherCall) call = user_data;
  SignIn *sign_in = call->data;
  g_clear_pointer (&sign_in->password, usher_secret_free);
  sign_in->person = result;
  if (result == NULL)
    sign_in->why = g_error_copy (error);
  settle (call);
}

static gboolean
ask_directory (UsherCall *call, GError **error)
{
  SignIn *sign_in = call->data;
  if (usher_workers_submit (call->api->parts.directory_workers, ask_directory_work, usher_call_ref (call),
                            (GDestroyNotify) usher_call_unref, DIRECTORY_BEGIN_MS, directory_answered, usher_call_ref (call),
                            (GDestroyNotify) usher_person_free, &sign_in->why))
    return TRUE;
  settle (call);
  usher_call_unref (call);
  return TRUE;
}

static gboolean
may_try_step (UsherCall *call, UsherStore *store, GError **error)
{
  SignIn *sign_in = call->data;
  const UsherActor actor = { .name = sign_in->user, .address = call->client, .request = call->request };
  guint wait_s = 5;
  if (!usher_store_sign_in_begin (store, sign_in->user_key, &actor, &wait_s, error)) {
    usher_call_set_retry_after (call, wait_s);
    return FALSE;
  }
  usher_call_set_next (call, ask_directory);
  return TRUE;
}

/* Jansson's copy of the password is overwritten before its memory goes back. */
static UsherSecret *
take_password (const char *password)
{
  return usher_secret_take_string ((char *) password);
}

gboolean
usher_signin_begin (UsherCall *call, GError **error)
{
  static const char *const known[] = { "user", "password", NULL };
  const char *user = NULL, *password = NULL;
  UsherJson body = usher_call_get_body (call);
  if (!usher_json_only (body, known, error) || !usher_json_get_string (body, "user", &user, error)
      || !usher_json_get_string (body, "password", &password, error))
    return FALSE;
  if (strlen (user) > 256 || strlen (password) > 1024) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "body: user or password is too long");
    return FALSE;
  }
  SignIn *sign_in = g_new0 (SignIn, 1);
  sign_in->user = g_strdup (user);
  sign_in->user_key = usher_account_name_key (user);
  if (sign_in->user_key == NULL)
    sign_in->user_key = g_strdup (user);
  sign_in->password = take_password (password);
  usher_call_set_data (call, sign_in, (GDestroyNotify) sign_in_free);
  usher_call_set_refusal_floor (call, NO_TAKES_MS);
  return usher_call_run (call, may_try_step, error);
}

gboolean
usher_signout_step (UsherCall *call, UsherStore *store, GError **error)
{
  g_autoptr (GError) local = NULL;
  g_autoptr (UsherSignedIn) who = NULL;
  if (call->has_token)
    who = usher_store_find_signed_in (store, call->token, &local);
  if (local != NULL && usher_error_code (local) != USHER_ERROR_UNAUTHENTICATED) {
    g_propagate_error (error, g_steal_pointer (&local));
    return FALSE;
  }
  if (who != NULL) {
    const UsherActor actor = { .name = who->user, .address = call->client, .request = call->request };
    if (!usher_store_sign_out (store, &actor, who->session, error))
      return FALSE;
  }
  g_autofree char *cookie = usher_cookie_format (NULL, 0);
  usher_call_set_header (call, "Set-Cookie", cookie);
  usher_call_answer_empty (call, 204);
  return TRUE;
}

gboolean
usher_me_step (UsherCall *call, UsherStore *store, GError **error)
{
  const UsherSignedIn *who = call->signed_in;
  gint64 now_s = g_get_real_time () / G_USEC_PER_SEC;
  usher_call_answer (call, 200, me_body (who->user, who->display_name, call->admin, who->expires_at - now_s));
  return TRUE;
}
