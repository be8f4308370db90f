#include "broker/auth/groups.h"
#include "broker/auth/filter.h"
#include "common/error.h"
#include <string.h>

/* So many DNs are asked about in one search; a filter stays some kilobytes. */
#define DNS_A_SEARCH 50

typedef struct {
  UsherConnection *connection;
  const UsherDirectorySetup *setup;
  UsherGroupMemory *memory;
  gint64 deadline_us;
  GHashTable *names; /* DN key → group name: all found so far */
  GPtrArray *fresh;  /* DNs found in this level, to be asked about in the next; owned */
} Climb;

static char *
dup_group_name (const Climb *climb, LDAP *ldap, LDAPMessage *entry)
{
  struct berval **values = ldap_get_values_len (ldap, entry, climb->setup->group_name_attribute);
  gboolean text = values != NULL && values[0] != NULL &&
                  g_utf8_validate (values[0]->bv_val, (gssize) values[0]->bv_len, NULL);
  char *name = g_strdup (text ? values[0]->bv_val : "");

  ldap_value_free_len (values);
  return name;
}

static gboolean
take_entry (Climb *climb, LDAP *ldap, LDAPMessage *entry, GError **error)
{
  char *dn = ldap_get_dn (ldap, entry);
  char *key = usher_dn_key (dn);

  if (key == NULL || g_hash_table_contains (climb->names, key)) {
    g_free (key);
    ldap_memfree (dn);
    return TRUE;
  }
  g_hash_table_insert (climb->names, key, dup_group_name (climb, ldap, entry));
  g_ptr_array_add (climb->fresh, g_strdup (dn));
  ldap_memfree (dn);
  if (g_hash_table_size (climb->names) <= climb->setup->group_limit)
    return TRUE;
  g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE,
               "the account is in more than %u groups: see [directory] group_limit", climb->setup->group_limit);
  return FALSE;
}

static gboolean
ask (Climb *climb, const char *const *dns, guint count, gboolean in_chain, GError **error)
{
  const char *const attributes[] = { climb->setup->group_name_attribute, NULL };
  g_autofree char *filter = usher_filter_groups (climb->setup, dns, count, in_chain);
  g_autoptr (LDAPMessage) found = NULL;
  LDAP *ldap = usher_connection_get_handle (climb->connection);

  if (!usher_connection_search (climb->connection, climb->setup->group_base, LDAP_SCOPE_SUBTREE, filter, attributes, 0,
                                climb->deadline_us, &found, NULL, error))
    return FALSE;
  for (LDAPMessage *entry = ldap_first_entry (ldap, found); entry != NULL; entry = ldap_next_entry (ldap, entry))
    if (!take_entry (climb, ldap, entry, error))
      return FALSE;
  return TRUE;
}

/* One level: the groups that have one of `dns` as a member; climb->fresh are those not known before. */
static gboolean
ask_level (Climb *climb, GPtrArray *dns, GError **error)
{
  for (guint at = 0; at < dns->len; at += DNS_A_SEARCH)
    if (!ask (climb, (const char *const *) dns->pdata + at, MIN (DNS_A_SEARCH, dns->len - at), FALSE, error))
      return FALSE;
  return TRUE;
}

/* The groups above those of climb->fresh. */
static gboolean
climb_on (Climb *climb, GError **error)
{
  g_autoptr (GPtrArray) dns = g_ptr_array_new_with_free_func (g_free);

  for (guint level = 0; level < climb->setup->group_depth && climb->fresh->len > 0; level++) {
    GPtrArray *asked = climb->fresh;
    climb->fresh = dns;
    dns = asked;
    g_ptr_array_set_size (climb->fresh, 0);
    if (!ask_level (climb, dns, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
climb_levels (Climb *climb, const char *dn, GError **error)
{
  g_autoptr (GPtrArray) person = g_ptr_array_new ();
  g_autofree char *own = NULL;
  GHashTable *known;

  g_ptr_array_add (person, (gpointer) dn);
  if (!ask_level (climb, person, error))
    return FALSE;
  if (climb->setup->nesting == USHER_NESTING_DIRECT || climb->fresh->len == 0)
    return TRUE;
  own = usher_group_memory_key (climb->names);
  known = usher_group_memory_get (climb->memory, own, g_get_monotonic_time ());
  if (known != NULL) {
    g_hash_table_unref (climb->names);
    climb->names = known;
    return TRUE;
  }
  if (!climb_on (climb, error))
    return FALSE;
  usher_group_memory_put (climb->memory, own, climb->names, g_get_monotonic_time ());
  return TRUE;
}

static gboolean
ask_in_chain (Climb *climb, const char *dn, GError **error)
{
  gboolean known = FALSE;

  if (!usher_connection_knows_in_chain (climb->connection, climb->deadline_us, &known, error))
    return FALSE;
  if (known)
    return ask (climb, &dn, 1, TRUE, error);
  g_set_error_literal (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE,
                       "the server does not know the in-chain rule: set [directory] group_nesting = recursive");
  return FALSE;
}

static int
compare_keys (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

static void
give (Climb *climb, UsherPerson *person)
{
  guint count = 0;

  g_clear_pointer (&person->groups, g_strfreev);
  g_clear_pointer (&person->group_names, g_strfreev);
  person->groups = (char **) g_hash_table_get_keys_as_array (climb->names, &count);
  qsort (person->groups, count, sizeof *person->groups, compare_keys);
  person->group_names = g_new0 (char *, count + 1);
  for (guint i = 0; i < count; i++) {
    person->group_names[i] = g_strdup (g_hash_table_lookup (climb->names, person->groups[i]));
    person->groups[i] = g_strdup (person->groups[i]);
  }
}

gboolean
usher_groups_collect (UsherConnection *connection, const UsherDirectorySetup *setup, UsherGroupMemory *memory,
                      UsherPerson *person, gint64 deadline_us, GError **error)
{
  Climb climb = { .connection = connection, .setup = setup, .memory = memory, .deadline_us = deadline_us };
  gboolean done;

  climb.names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  climb.fresh = g_ptr_array_new_with_free_func (g_free);
  done = setup->nesting == USHER_NESTING_IN_CHAIN ? ask_in_chain (&climb, person->dn, error)
                                                  : climb_levels (&climb, person->dn, error);
  if (done)
    give (&climb, person);
  g_ptr_array_unref (climb.fresh);
  g_hash_table_unref (climb.names);
  return done;
}
