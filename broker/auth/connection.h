/* One connection to one LDAP server, with a deadline on everything. Internal to broker/auth.
 *
 * Every failure is UNAVAILABLE and names the server; `usher_connection_is_broken` tells whether the
 * connection (or its server) is of no further use, so that another one should be asked. */
#pragma once
#include "broker/auth/setup.h"
#include <ldap.h>

typedef struct _UsherConnection UsherConnection;

/* What a server said to a bind. */
typedef struct {
  int code;         /* LDAP result code, never negative */
  char *diagnostic; /* the server's text, "" when there is none; untrusted */
  int policy_error; /* LDAPPasswordPolicyError; PP_noError when the server says nothing */
} UsherBindAnswer;

void usher_bind_answer_clear (UsherBindAnswer *answer);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (UsherBindAnswer, usher_bind_answer_clear)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (LDAPMessage, ldap_msgfree)

/* Connects to setup->servers[server], with TLS where the settings ask for it. `deadline_us` is monotonic,
 * here and below. NULL is a failure of the server. */
UsherConnection *usher_connection_open (const UsherDirectorySetup *setup, guint server, gint64 deadline_us,
                                        GError **error);

/* A simple bind. FALSE: the server did not answer it. TRUE: see *out_answer, which may well say no.
 * An empty `dn` with a NULL password is an anonymous bind; nothing else may be empty. */
gboolean usher_connection_bind (UsherConnection *connection, const char *dn, const UsherSecret *password,
                                gint64 deadline_us, UsherBindAnswer *out_answer, GError **error);

/* At most `size_limit` entries (0: the server's own limit). A base that does not exist is a failure. Going
 * over the limit is none when *out_over (may be NULL) can tell. */
gboolean usher_connection_search (UsherConnection *connection, const char *base, int scope, const char *filter,
                                  const char *const *attributes, int size_limit, gint64 deadline_us,
                                  LDAPMessage **out_entries, gboolean *out_over, GError **error);

/* For ldap_first_entry() and friends; borrowed. */
LDAP *usher_connection_get_handle (UsherConnection *connection);
gboolean usher_connection_is_broken (const UsherConnection *connection);

/* Whether the server says it is an Active Directory (domain controller, LDS, Samba) and so knows the
 * in-chain rule; other servers answer such a filter with nothing, which would look like "no groups". */
gboolean usher_connection_knows_in_chain (UsherConnection *connection, gint64 deadline_us, gboolean *out_known,
                                          GError **error);

/* Closes without waiting for anybody. NULL is allowed. */
void usher_connection_free (UsherConnection *connection);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherConnection, usher_connection_free)
