#include "broker/auth/directory.h"
#include "broker/auth/connection.h"
#include "broker/auth/filter.h"
#include "broker/auth/groups.h"
#include "broker/auth/verdict.h"
#include "common/error.h"
#include "common/fault.h"
#include "common/log.h"

struct _UsherDirectory {
  UsherDirectorySetup *setup;
  guint server;             /* whose connections these are */
  UsherConnection *service; /* bound as the service account; NULL: not connected */
  UsherConnection *user;    /* bound as whoever signed in last; NULL: not connected */
  UsherGroupMemory *groups;
  gboolean unreached;       /* a connection to it could not be made */
};

/* One question to the directory, asked of one server after the other until one of them answers. */
typedef struct Question Question;
struct Question {
  gboolean (*ask) (UsherDirectory *directory, Question *question, GError **error);
  const char *name;
  const UsherSecret *password;
  UsherPerson *person; /* the answer */
  gint64 deadline_us;
};

UsherDirectory *
usher_directory_new (UsherDirectorySetup *setup)
{
  UsherDirectory *directory = g_new0 (UsherDirectory, 1);
  directory->setup = setup;
  directory->groups = usher_group_memory_new ((gint64) setup->group_memory_s * G_USEC_PER_SEC);
  return directory;
}

static void
hang_up (UsherDirectory *directory)
{
  g_clear_pointer (&directory->service, usher_connection_free);
  g_clear_pointer (&directory->user, usher_connection_free);
}

void
usher_directory_free (UsherDirectory *directory)
{
  if (directory == NULL)
    return;
  hang_up (directory);
  usher_group_memory_free (directory->groups);
  g_free (directory);
}

/* The time for the first word of a server: a hung one must not eat the whole sign-in. */
static gint64
first_word (const UsherDirectory *directory, gint64 deadline_us)
{
  return MIN (deadline_us, g_get_monotonic_time () + (gint64) directory->setup->connect_timeout_ms * 1000);
}

/* A connection bound as the service account, or NULL. */
static UsherConnection *
open_service (UsherDirectory *directory, gint64 until_us, GError **error)
{
  const UsherDirectorySetup *setup = directory->setup;
  g_autoptr (UsherConnection) connection = usher_connection_open (setup, directory->server, until_us, error);
  g_auto (UsherBindAnswer) answer = { 0 };

  if (connection == NULL ||
      !usher_connection_bind (connection, setup->bind_dn, setup->bind_password, until_us, &answer, error))
    return NULL;
  if (answer.code == LDAP_SUCCESS)
    return g_steal_pointer (&connection);
  g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "%s: the service account \"%s\" was not taken: %s%s%s",
               setup->servers[directory->server], setup->bind_dn, ldap_err2string (answer.code),
               *answer.diagnostic != '\0' ? ": " : "", answer.diagnostic);
  return NULL;
}

static gboolean
connect_service (UsherDirectory *directory, gint64 deadline_us, GError **error)
{
  if (directory->service == NULL)
    directory->service = open_service (directory, first_word (directory, deadline_us), error);
  directory->unreached = directory->service == NULL;
  return !directory->unreached;
}

static gboolean
connect_user (UsherDirectory *directory, gint64 deadline_us, GError **error)
{
  if (directory->user == NULL)
    directory->user =
        usher_connection_open (directory->setup, directory->server, first_word (directory, deadline_us), error);
  directory->unreached = directory->user == NULL;
  return !directory->unreached;
}

static gboolean
no_such_account (const Question *question, GError **error)
{
  if (question->password != NULL)
    g_set_error_literal (error, USHER_ERROR, USHER_ERROR_UNAUTHENTICATED, "the name or the password is wrong");
  else
    g_set_error (error, USHER_ERROR, USHER_ERROR_MISSING, "the directory has no account \"%s\"", question->name);
  return FALSE;
}

/* Exactly one entry of that name, or an error. */
static UsherPerson *
find_account (UsherDirectory *directory, const Question *question, UsherAccountState *out_state, GError **error)
{
  const UsherDirectorySetup *setup = directory->setup;
  const char *attributes[USHER_ACCOUNT_ATTRIBUTES + 1];
  g_autofree char *filter = usher_filter_account (setup, question->name);
  g_autoptr (LDAPMessage) found = NULL;
  LDAP *ldap = usher_connection_get_handle (directory->service);
  gboolean over = FALSE;
  int count;

  usher_account_attributes (setup, attributes);
  if (!usher_connection_search (directory->service, setup->user_base, LDAP_SCOPE_SUBTREE, filter, attributes, 2,
                                question->deadline_us, &found, &over, error))
    return NULL;
  count = ldap_count_entries (ldap, found);
  if (count == 0 && !over) {
    no_such_account (question, error);
    return NULL;
  }
  if (count != 1 || over) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE,
                 "the directory has more than one account \"%s\" below \"%s\": nobody is signed in as either",
                 question->name, setup->user_base);
    return NULL;
  }
  return usher_account_read (setup, ldap, ldap_first_entry (ldap, found), g_get_real_time () / G_USEC_PER_SEC,
                             out_state, error);
}

static gboolean
check_password (UsherDirectory *directory, const Question *question, const UsherPerson *person, UsherAccountState state,
                GError **error)
{
  g_auto (UsherBindAnswer) answer = { 0 };

  return connect_user (directory, question->deadline_us, error) &&
         usher_connection_bind (directory->user, person->dn, question->password, question->deadline_us, &answer, error) &&
         usher_verdict (&answer, person->locked, state, error);
}

static gboolean
ask_person (UsherDirectory *directory, Question *question, GError **error)
{
  g_autoptr (UsherPerson) person = NULL;
  UsherAccountState state = { 0 };

  person = find_account (directory, question, &state, error);
  if (person == NULL)
    return FALSE;
  USHER_FAULT_POINT ("auth.found");
  if (question->password != NULL && !check_password (directory, question, person, state, error))
    return FALSE;
  USHER_FAULT_POINT ("auth.bound");
  if (question->password != NULL) /* the server let the person in: a lock that was noted is over */
    g_clear_pointer (&person->locked, g_free);
  if (!usher_groups_collect (directory->service, directory->setup, directory->groups, person, question->deadline_us, error))
    return FALSE;
  question->person = g_steal_pointer (&person);
  return TRUE;
}

/* That the service account is connected is the whole answer, but an old connection may be dead. */
static gboolean
ask_probe (UsherDirectory *directory, Question *question, GError **error)
{
  static const char *const attributes[] = { "1.1", NULL };
  g_autoptr (LDAPMessage) found = NULL;

  return usher_connection_search (directory->service, directory->setup->user_base, LDAP_SCOPE_BASE, "(objectClass=*)",
                                  attributes, 1, first_word (directory, question->deadline_us), &found, NULL, error);
}

/* Whether what went wrong was the server or the way to it, rather than its answer. */
static gboolean
is_broken (const UsherDirectory *directory)
{
  return directory->unreached || (directory->service != NULL && usher_connection_is_broken (directory->service)) ||
         (directory->user != NULL && usher_connection_is_broken (directory->user));
}

/* Asks one server. A connection that was kept may have been closed by the server meanwhile, so its failure
 * says nothing: then a fresh one is tried. *out_answered: the server did its part, whatever it said. */
static gboolean
ask_server (UsherDirectory *directory, guint server, Question *question, gboolean *out_answered, GError **error)
{
  gboolean kept = directory->service != NULL && directory->server == server;
  g_autoptr (GError) problem = NULL;

  if (!kept)
    hang_up (directory);
  directory->server = server;
  directory->unreached = FALSE;
  *out_answered = TRUE;
  if (connect_service (directory, question->deadline_us, &problem) && question->ask (directory, question, &problem))
    return TRUE;
  *out_answered = !is_broken (directory);
  if (!*out_answered) {
    hang_up (directory);
    if (kept && g_get_monotonic_time () < question->deadline_us)
      return ask_server (directory, server, question, out_answered, error);
  }
  g_propagate_error (error, g_steal_pointer (&problem));
  return FALSE;
}

static void
note_server (UsherDirectory *directory, guint server, const GError *failure)
{
  UsherDirectorySetup *setup = directory->setup;

  if (!usher_directory_setup_note (setup, server, failure != NULL, g_get_monotonic_time ()))
    return;
  if (failure != NULL)
    usher_log (USHER_LOG_WARNING, NULL, "directory: %s; for %u s the others are asked first", failure->message,
               setup->avoid_failed_s);
  else
    usher_log (USHER_LOG_NOTICE, NULL, "directory: %s answers again", setup->servers[server]);
}

static gboolean
ask_servers (UsherDirectory *directory, Question *question, GError **error)
{
  UsherDirectorySetup *setup = directory->setup;
  g_autofree guint *order = g_new (guint, setup->server_count);
  g_autoptr (GString) failures = g_string_new (NULL);

  question->deadline_us = g_get_monotonic_time () + (gint64) setup->total_timeout_ms * 1000;
  usher_directory_setup_order (setup, g_get_monotonic_time (), order);
  for (guint i = 0; i < setup->server_count; i++) {
    g_autoptr (GError) problem = NULL;
    gboolean answered = FALSE;
    gboolean yes = ask_server (directory, order[i], question, &answered, &problem);

    note_server (directory, order[i], answered ? NULL : problem);
    if (answered) {
      if (problem != NULL)
        g_propagate_error (error, g_steal_pointer (&problem));
      return yes;
    }
    g_string_append_printf (failures, "%s%s", failures->len > 0 ? "; " : "", problem->message);
    if (g_get_monotonic_time () >= question->deadline_us)
      break;
  }
  g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "no directory server answered: %s", failures->str);
  return FALSE;
}

gboolean
usher_directory_sign_in (UsherDirectory *directory, const char *user, const UsherSecret *password,
                         UsherPerson **out_person, GError **error)
{
  g_autofree char *key = usher_account_name_key (user);
  Question question = { .ask = ask_person, .name = user, .password = password };

  if (key == NULL || password == NULL || usher_secret_length (password) == 0) {
    g_set_error_literal (error, USHER_ERROR, USHER_ERROR_UNAUTHENTICATED, "the name or the password is wrong");
    return FALSE;
  }
  if (!ask_servers (directory, &question, error))
    return FALSE;
  *out_person = question.person;
  return TRUE;
}

gboolean
usher_directory_look_up (UsherDirectory *directory, const char *user, UsherPerson **out_person, GError **error)
{
  g_autofree char *key = usher_account_name_key (user);
  Question question = { .ask = ask_person, .name = user != NULL ? user : "" };

  if (key == NULL)
    return no_such_account (&question, error);
  if (!ask_servers (directory, &question, error))
    return FALSE;
  *out_person = question.person;
  return TRUE;
}

gboolean
usher_directory_probe (UsherDirectory *directory, GError **error)
{
  Question question = { .ask = ask_probe };

  return ask_servers (directory, &question, error);
}
