/* LDAP filters out of untrusted values (RFC 4515). Pure; internal to broker/auth. */
#pragma once
#include "broker/auth/setup.h"

/* Whether `text` is a filter in parentheses that libldap can encode. */
gboolean usher_filter_is_valid (const char *text);

/* Whether `text` can name an attribute (RFC 4512 descriptor or OID, options allowed). */
gboolean usher_filter_attribute_is_valid (const char *text);

/* The accounts named `name`: "(&USER_FILTER(uid=alice))"; owned by the caller. */
char *usher_filter_account (const UsherDirectorySetup *setup, const char *name);

/* The groups that have one of the `count` DNs as a member; owned by the caller. `in_chain`: also those that
 * have it through other groups (LDAP_MATCHING_RULE_IN_CHAIN, MS-ADTS 3.1.1.3.4.4.3). */
char *usher_filter_groups (const UsherDirectorySetup *setup, const char *const *dns, guint count, gboolean in_chain);
