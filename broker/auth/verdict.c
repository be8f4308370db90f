#include "broker/auth/verdict.h"
#include "common/error.h"
#include <string.h>

/* Active Directory says everything with result 49, and why in the text: "…, data 533, v1db1" (the Windows
 * error in hexadecimal). 525 and 52e are wrong name and wrong password. */
static const struct {
  const char *data, *reason;
} ad_reasons[] = {
  { "530", "the account may not sign in at this hour" },
  { "531", "the account may not sign in from here" },
  { "532", "the password has expired" },
  { "533", "the account is disabled" },
  { "701", "the account has expired" },
  { "773", "the password must be changed first" },
  { "775", "the account is locked" },
};

static const struct {
  int policy_error;
  const char *reason;
} policy_reasons[] = {
  { PP_passwordExpired, "the password has expired" },
  { PP_accountLocked, "the account is locked" },
  { PP_changeAfterReset, "the password must be changed first" },
};

static const char *
ad_reason (const char *diagnostic)
{
  const char *data = strstr (diagnostic, "AcceptSecurityContext error, data ");
  gsize length;

  if (data == NULL)
    return NULL;
  data += strlen ("AcceptSecurityContext error, data ");
  length = strspn (data, "0123456789abcdefABCDEF");
  for (gsize i = 0; i < G_N_ELEMENTS (ad_reasons); i++)
    if (length == strlen (ad_reasons[i].data) && strncmp (data, ad_reasons[i].data, length) == 0)
      return ad_reasons[i].reason;
  return NULL;
}

static const char *
policy_reason (int policy_error)
{
  for (gsize i = 0; i < G_N_ELEMENTS (policy_reasons); i++)
    if (policy_reasons[i].policy_error == policy_error)
      return policy_reasons[i].reason;
  return NULL;
}

static gboolean
refuse (const char *reason, GError **error)
{
  g_set_error_literal (error, USHER_ERROR, USHER_ERROR_REFUSED, reason);
  return FALSE;
}

/* Result codes that say no, and what they say where the server gives no better reason. NULL: the name or
 * the password. 19 and 53 are 389 Directory Server's for too many tries and for an inactive account. */
static const struct {
  int code;
  const char *reason;
} noes[] = {
  { LDAP_INVALID_CREDENTIALS, NULL },
  { LDAP_INAPPROPRIATE_AUTH, NULL },
  { LDAP_NO_SUCH_OBJECT, NULL },
  { LDAP_CONSTRAINT_VIOLATION, "the account is locked after failed sign-ins" },
};

gboolean
usher_verdict (const UsherBindAnswer *answer, const char *locked, UsherAccountState state, GError **error)
{
  const char *reason = policy_reason (answer->policy_error);

  if (answer->code == LDAP_SUCCESS && reason == NULL)
    return locked == NULL || !state.final || refuse (locked, error);
  if (reason == NULL)
    reason = ad_reason (answer->diagnostic);
  if (reason == NULL && locked != NULL && (state.hidden || answer->code == LDAP_UNWILLING_TO_PERFORM))
    reason = locked;
  for (gsize i = 0; reason == NULL && i < G_N_ELEMENTS (noes); i++)
    if (noes[i].code == answer->code) {
      if (noes[i].reason != NULL)
        return refuse (noes[i].reason, error);
      g_set_error_literal (error, USHER_ERROR, USHER_ERROR_UNAUTHENTICATED, "the name or the password is wrong");
      return FALSE;
    }
  if (reason != NULL)
    return refuse (reason, error);
  g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "the directory neither took nor refused the password: %s%s%s",
               ldap_err2string (answer->code), *answer->diagnostic != '\0' ? ": " : "", answer->diagnostic);
  return FALSE;
}
