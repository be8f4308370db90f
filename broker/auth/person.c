#include "broker/auth/person.h"
#include <ldap.h>
#include <string.h>

#define NAME_LIMIT 256

void
usher_person_free (UsherPerson *person)
{
  if (person == NULL)
    return;
  g_free (person->name);
  g_free (person->dn);
  g_free (person->display_name);
  g_free (person->mail);
  g_strfreev (person->groups);
  g_strfreev (person->group_names);
  g_free (person->locked);
  g_free (person);
}

char *
usher_dn_key (const char *dn)
{
  LDAPDN parsed = NULL;
  char *text = NULL, *key;

  if (dn == NULL || *dn == '\0' || ldap_str2dn (dn, &parsed, LDAP_DN_FORMAT_LDAPV3) != LDAP_SUCCESS)
    return NULL;
  if (ldap_dn2str (parsed, &text, LDAP_DN_FORMAT_LDAPV3) != LDAP_SUCCESS)
    text = NULL;
  ldap_dnfree (parsed);
  if (text == NULL)
    return NULL;
  key = g_utf8_validate (text, -1, NULL) ? g_utf8_casefold (text, -1) : g_ascii_strdown (text, -1);
  ldap_memfree (text);
  return key;
}

static gboolean
same_name (const char *a, const char *b)
{
  g_autofree char *a_key = g_utf8_validate (a, -1, NULL) ? g_utf8_casefold (a, -1) : NULL;
  g_autofree char *b_key = g_utf8_validate (b, -1, NULL) ? g_utf8_casefold (b, -1) : NULL;

  return a_key != NULL && b_key != NULL && strcmp (a_key, b_key) == 0;
}

gboolean
usher_groups_contain (const char *const *groups, const char *const *group_names, const char *group)
{
  if (*group == '\0')
    return FALSE;
  if (strchr (group, '=') != NULL) {
    g_autofree char *key = usher_dn_key (group);
    return key != NULL && groups != NULL && g_strv_contains (groups, key);
  }
  for (gsize i = 0; group_names != NULL && group_names[i] != NULL; i++)
    if (same_name (group_names[i], group))
      return TRUE;
  return FALSE;
}

gboolean
usher_person_in_group (const UsherPerson *person, const char *group)
{
  return usher_groups_contain ((const char *const *) person->groups, (const char *const *) person->group_names, group);
}

static gboolean
is_plain_name (const char *text)
{
  gunichar before = ' ';

  for (const char *at = text; *at != '\0'; at = g_utf8_next_char (at)) {
    gunichar c = g_utf8_get_char (at);
    if (g_unichar_iscntrl (c) || g_unichar_type (c) == G_UNICODE_FORMAT)
      return FALSE;
    if (g_unichar_isspace (c) && g_unichar_isspace (before))
      return FALSE;
    before = c;
  }
  return !g_unichar_isspace (before);
}

char *
usher_account_name_key (const char *typed)
{
  g_autofree char *normal = NULL;

  if (typed == NULL || strlen (typed) > NAME_LIMIT || !g_utf8_validate (typed, -1, NULL) || !is_plain_name (typed))
    return NULL;
  normal = g_utf8_normalize (typed, -1, G_NORMALIZE_ALL_COMPOSE);
  return g_utf8_casefold (normal, -1);
}
