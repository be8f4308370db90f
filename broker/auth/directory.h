/* The LDAP directory: who may sign in, and as whom.
 *
 * Three answers, never two:
 *
 *     yes                TRUE and the person
 *     no                 FALSE and UNAUTHENTICATED (name or password is wrong: which is not told)
 *                        or REFUSED (the account is locked, disabled or expired, or its password has expired)
 *     could not find out FALSE and UNAVAILABLE: no server answered, or what it said makes no sense. BUSY and
 *                        INTERNAL never come from here.
 *
 * A sign-in is: search as the service account for exactly one entry of that name, bind as that entry with
 * the password on a second connection, collect the groups on the first. Both connections are kept.
 *
 * All of it blocks: call it on a worker thread. A UsherDirectory belongs to one thread (make it in
 * UsherWorkersStart, free it in UsherWorkersStop); the UsherDirectorySetup is shared by all of them. */
#pragma once
#include "broker/auth/person.h"
#include "common/secret.h"
#include "common/settings.h"

typedef struct _UsherDirectorySetup UsherDirectorySetup;
typedef struct _UsherDirectory UsherDirectory;

/* Reads section [directory] (broker/auth/directory_settings.h) and the service password's file. Asks no
 * server. Call it in main before threads start: libldap's environment is set here. INVALID names the key. */
UsherDirectorySetup *usher_directory_setup_new (const UsherSettings *settings, GError **error);

/* How many worker threads the settings ask for. */
guint usher_directory_setup_get_workers (const UsherDirectorySetup *setup);

void usher_directory_setup_free (UsherDirectorySetup *setup);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherDirectorySetup, usher_directory_setup_free)

/* Connects only when first asked. `setup` must outlive it. */
UsherDirectory *usher_directory_new (UsherDirectorySetup *setup);

/* Checks `user`'s password; see above for the answers. `user` is untrusted text, `password` may be NULL or
 * empty (a no, decided without asking: LDAP would take an empty password for an anonymous sign-in). */
gboolean usher_directory_sign_in (UsherDirectory *directory, const char *user, const UsherSecret *password,
                                  UsherPerson **out_person, GError **error);

/* The same person without a password: for administrators and for re-reading groups. MISSING when there is
 * no such account; a locked one is found, with `locked` set. */
gboolean usher_directory_look_up (UsherDirectory *directory, const char *user, UsherPerson **out_person,
                                  GError **error);

/* Whether some server takes the service account now; UNAVAILABLE says what each of them answered. */
gboolean usher_directory_probe (UsherDirectory *directory, GError **error);

void usher_directory_free (UsherDirectory *directory);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherDirectory, usher_directory_free)
