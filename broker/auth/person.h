/* A person as the directory knows them: who they are and which groups they are in. A plain value. */
#pragma once
#include <glib.h>

typedef struct {
  char *name;         /* the account's name as the directory spells it, whatever case was typed */
  char *dn;           /* as the server gave it */
  char *display_name; /* the name when the directory has none */
  char *mail;         /* "" when the directory has none */
  char **groups;      /* every group, nested ones included: DN keys (usher_dn_key), sorted, NULL-terminated */
  char **group_names; /* the same groups' names (cn), in the order of `groups`; "" for one without */
  char *locked;       /* why the account may not sign in, for a person; NULL when it may */
} UsherPerson;

void usher_person_free (UsherPerson *person);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherPerson, usher_person_free)

/* Whether the person is in `group`, which is a group's name or its DN; letter case and the blanks of a DN
 * make no difference. A text that holds a '=' is a DN. */
gboolean usher_person_in_group (const UsherPerson *person, const char *group);

/* As usher_person_in_group() for lists taken out of a record. Either list may be NULL. */
gboolean usher_groups_contain (const char *const *groups, const char *const *group_names, const char *group);

/* A DN in one spelling only (attribute types and values folded to lower case, no blanks around separators),
 * so that two spellings of the same DN compare equal; owned by the caller. NULL when `dn` is no DN. */
char *usher_dn_key (const char *dn);

/* A typed account name in one spelling only (NFKC, case folded), e.g. as the key of a throttle; owned by
 * the caller. NULL when the text cannot be an account's name: empty, over 256 bytes, not UTF-8, with a
 * control character, or with blanks at an end or doubled (the directory would skip those). */
char *usher_account_name_key (const char *typed);
