#include "broker/auth/filter.h"
#include <ldap.h>
#include <string.h>

#define IN_CHAIN ":1.2.840.113556.1.4.1941:"

/* libldap encodes a filter before it connects; here to nowhere, so that only the filter can be refused. */
#define NOWHERE "ldapi://%2Fdev%2Fnull%2Fnowhere"

gboolean
usher_filter_is_valid (const char *text)
{
  LDAP *ldap = NULL;
  int id, code;

  /* libldap would also take "uid=x" and add the parentheses; ours are put inside others. */
  if (text[0] != '(' || text[strlen (text) - 1] != ')')
    return FALSE;
  if (ldap_initialize (&ldap, NOWHERE) != LDAP_SUCCESS)
    return FALSE;
  code = ldap_search_ext (ldap, "", LDAP_SCOPE_BASE, text, NULL, 0, NULL, NULL, NULL, 0, &id);
  ldap_unbind_ext (ldap, NULL, NULL);
  return code == LDAP_SERVER_DOWN;
}

gboolean
usher_filter_attribute_is_valid (const char *text)
{
  if (!g_ascii_isalnum (*text))
    return FALSE;
  for (const char *at = text; *at != '\0'; at++)
    if (!g_ascii_isalnum (*at) && strchr ("-.;_", *at) == NULL)
      return FALSE;
  return TRUE;
}

static void
append_escaped (GString *out, const char *value)
{
  struct berval in = { .bv_val = (char *) value, .bv_len = strlen (value) };
  struct berval escaped = { 0 };

  if (in.bv_len == 0)
    return;
  if (ldap_bv2escaped_filter_value (&in, &escaped) != 0)
    g_error ("libldap: out of memory escaping %" G_GSIZE_FORMAT " bytes", (gsize) in.bv_len);
  g_string_append_len (out, escaped.bv_val, (gssize) escaped.bv_len);
  if (escaped.bv_val != in.bv_val)
    ber_memfree (escaped.bv_val);
}

char *
usher_filter_account (const UsherDirectorySetup *setup, const char *name)
{
  GString *filter = g_string_new ("(&");

  g_string_append_printf (filter, "%s(%s=", setup->user_filter, setup->user_name_attribute);
  append_escaped (filter, name);
  g_string_append (filter, "))");
  return g_string_free (filter, FALSE);
}

char *
usher_filter_groups (const UsherDirectorySetup *setup, const char *const *dns, guint count, gboolean in_chain)
{
  GString *filter = g_string_new ("(&");

  g_string_append (filter, setup->group_filter);
  g_string_append (filter, "(|");
  for (guint i = 0; i < count; i++) {
    g_string_append_printf (filter, "(%s%s=", setup->group_member_attribute, in_chain ? IN_CHAIN : "");
    append_escaped (filter, dns[i]);
    g_string_append_c (filter, ')');
  }
  g_string_append (filter, "))");
  return g_string_free (filter, FALSE);
}
