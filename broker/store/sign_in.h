/* Signing in: attempts held back, sign-in sessions, and who people are. */
#pragma once
#include "broker/auth/person.h"
#include "broker/store/store.h"

/* Notes that an attempt begins, and says whether it may: THROTTLED when there were too many that failed, with the
 * seconds to wait in *out_wait_s (untouched otherwise). `user_key` is usher_account_name_key() of what was typed, or
 * what was typed when that is NULL; `actor` has the address. An attempt counts as failed until it is settled. */
gboolean usher_store_sign_in_begin (UsherStore *store, const char *user_key, const UsherActor *actor, guint *out_wait_s,
                                    GError **error);

/* It was a yes: keeps the person and the groups, makes a sign-in session of `ttl_s` seconds, audits, forgets the user's
 * failed attempts: all or nothing. `out_token` is the cookie's value, stored hashed. */
gboolean usher_store_sign_in_done (UsherStore *store, const char *user_key, const UsherPerson *person,
                                   const UsherActor *actor, guint ttl_s, char out_token[USHER_TOKEN_SIZE],
                                   GError **error);

/* It was not: audits `why`. The attempt stays counted unless `why` is "could not find out" (UNAVAILABLE, BUSY,
 * INTERNAL). */
gboolean usher_store_sign_in_failed (UsherStore *store, const char *user_key, const UsherActor *actor,
                                     const GError *why, GError **error);

/* A sign-in session and its person, as the directory had them at sign-in. */
typedef struct {
  char session[USHER_ID_SIZE];
  char person[USHER_ID_SIZE];
  char *user, *display_name;
  char **groups, **group_names; /* as UsherPerson's */
  gint64 expires_at;            /* Unix seconds */
} UsherSignedIn;

void usher_signed_in_free (UsherSignedIn *signed_in);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherSignedIn, usher_signed_in_free)

/* Whose session `token` is (untrusted text); UNAUTHENTICATED when it is unknown, expired or revoked. */
UsherSignedIn *usher_store_find_signed_in (UsherStore *store, const char *token, GError **error);

/* Revokes a sign-in session because its person signs out; audited. One that is gone already is fine. With the person's last one
 * go floating desktops, and fresh systems are made (policies/leaving). */
gboolean usher_store_sign_out (UsherStore *store, const UsherActor *actor, const char *session, GError **error);

/* Revokes all sign-in sessions of an account; what the person has open goes on. */
gboolean usher_store_sign_out_all (UsherStore *store, const UsherActor *actor, const char *user, GError **error);
