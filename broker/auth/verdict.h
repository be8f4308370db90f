/* What a server's answer to a person's bind means. Pure; internal to broker/auth. */
#pragma once
#include "broker/auth/account.h"
#include "broker/auth/connection.h"

/* TRUE: the password is right and the account is open. Otherwise UNAUTHENTICATED, REFUSED with the reason, or
 * UNAVAILABLE when the answer is neither yes nor no. `locked` is what the entry said (NULL: nothing). */
gboolean usher_verdict (const UsherBindAnswer *answer, const char *locked, UsherAccountState state, GError **error);
