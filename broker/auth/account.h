/* An account's entry → a person, and whether the account is open. Internal to broker/auth. */
#pragma once
#include "broker/auth/setup.h"
#include <ldap.h>

/* What an entry says about its account being shut. With neither flag the entry has nothing to say, or only
 * what the server tells by itself when somebody binds. */
typedef struct {
  gboolean final;  /* it stays shut even if the server accepts a bind */
  gboolean hidden; /* the server answers a bind as if the password were wrong */
} UsherAccountState;

/* The attributes usher_account_read() wants: `out` gets USHER_ACCOUNT_ATTRIBUTES + 1 borrowed names. */
#define USHER_ACCOUNT_ATTRIBUTES 8
void usher_account_attributes (const UsherDirectorySetup *setup, const char *out[USHER_ACCOUNT_ATTRIBUTES + 1]);

/* The person of `entry`, without groups; `locked` is set when something says so, and *out_state tells what
 * that means. `now_s` is Unix time. UNAVAILABLE when the entry has no DN or no name. */
UsherPerson *usher_account_read (const UsherDirectorySetup *setup, LDAP *ldap, LDAPMessage *entry, gint64 now_s,
                                 UsherAccountState *out_state, GError **error);

/* The rules themselves: `attribute`'s value in an entry → why the account is shut (static), or NULL. */
const char *usher_account_rule (const char *attribute, const char *value, gint64 now_s, UsherAccountState *out_state);
