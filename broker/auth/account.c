#include "broker/auth/account.h"
#include "common/error.h"
#include <string.h>

#define AD_DISABLED 0x2                   /* userAccountControl: ADS_UF_ACCOUNTDISABLE */
#define AD_NEVER G_GINT64_CONSTANT (0x7fffffffffffffff)
#define AD_EPOCH_S G_GINT64_CONSTANT (11644473600) /* 1601-01-01 to 1970-01-01 */
#define DAY_S 86400

typedef const char *(*Rule) (const char *value, gint64 now_s, UsherAccountState *state);

/* Without a number: not a reason to shut anybody out, the server judges by itself. */
static gint64
number (const char *value, gint64 otherwise)
{
  gint64 result = 0;
  return g_ascii_string_to_signed (value, 10, G_MININT64, G_MAXINT64, &result, NULL) ? result : otherwise;
}

/* ppolicy: locked since then, or for ever (draft-behera-ldap-password-policy-10, 5.3.3). Whether a lock has
 * run out only the server knows, so a bind it accepts overrules a dated one. */
static const char *
rule_ppolicy (const char *value, gint64 now_s, UsherAccountState *state)
{
  state->hidden = TRUE;
  if (g_str_has_prefix (value, "000001010000")) {
    state->final = TRUE;
    return "the account has been locked by an administrator";
  }
  return "the account has been locked after failed sign-ins";
}

static const char *
rule_ad_control (const char *value, gint64 now_s, UsherAccountState *state)
{
  if ((number (value, 0) & AD_DISABLED) == 0)
    return NULL;
  state->final = TRUE;
  return "the account is disabled";
}

static const char *
rule_ad_expires (const char *value, gint64 now_s, UsherAccountState *state)
{
  gint64 ticks = number (value, 0);

  if (ticks <= 0 || ticks == AD_NEVER || ticks / 10000000 - AD_EPOCH_S > now_s)
    return NULL;
  state->final = TRUE;
  return "the account has expired";
}

static const char *
rule_shadow_expire (const char *value, gint64 now_s, UsherAccountState *state)
{
  gint64 day = number (value, 0);

  if (day <= 0 || day > now_s / DAY_S)
    return NULL;
  state->final = TRUE;
  return "the account has expired";
}

/* 389 Directory Server. */
static const char *
rule_account_lock (const char *value, gint64 now_s, UsherAccountState *state)
{
  if (g_ascii_strcasecmp (value, "true") != 0)
    return NULL;
  state->final = TRUE;
  return "the account is disabled";
}

static const struct {
  const char *attribute;
  Rule rule;
} rules[] = {
  { "pwdAccountLockedTime", rule_ppolicy },  { "userAccountControl", rule_ad_control },
  { "accountExpires", rule_ad_expires },     { "shadowExpire", rule_shadow_expire },
  { "nsAccountLock", rule_account_lock },
};

G_STATIC_ASSERT (G_N_ELEMENTS (rules) + 3 == USHER_ACCOUNT_ATTRIBUTES);

const char *
usher_account_rule (const char *attribute, const char *value, gint64 now_s, UsherAccountState *out_state)
{
  for (gsize i = 0; i < G_N_ELEMENTS (rules); i++)
    if (strcmp (rules[i].attribute, attribute) == 0)
      return rules[i].rule (value, now_s, out_state);
  return NULL;
}

void
usher_account_attributes (const UsherDirectorySetup *setup, const char *out[USHER_ACCOUNT_ATTRIBUTES + 1])
{
  gsize at = 0;

  out[at++] = setup->user_name_attribute;
  out[at++] = setup->display_name_attribute;
  out[at++] = setup->mail_attribute;
  for (gsize i = 0; i < G_N_ELEMENTS (rules); i++)
    out[at++] = rules[i].attribute;
  out[at] = NULL;
}

/* The smallest of the values that are text, so that an account with several is always the same person;
 * owned by the caller, NULL when there is none. */
static char *
dup_value (LDAP *ldap, LDAPMessage *entry, const char *attribute)
{
  struct berval **values = ldap_get_values_len (ldap, entry, attribute);
  const char *best = NULL;
  char *result;

  for (gsize i = 0; values != NULL && values[i] != NULL; i++) {
    const char *text = values[i]->bv_val;
    if (values[i]->bv_len == 0 || !g_utf8_validate (text, (gssize) values[i]->bv_len, NULL))
      continue;
    if (best == NULL || strcmp (text, best) < 0)
      best = text;
  }
  result = g_strdup (best);
  ldap_value_free_len (values);
  return result;
}

static void
read_state (LDAP *ldap, LDAPMessage *entry, gint64 now_s, UsherPerson *person, UsherAccountState *state)
{
  for (gsize i = 0; i < G_N_ELEMENTS (rules); i++) {
    g_autofree char *value = dup_value (ldap, entry, rules[i].attribute);
    const char *reason = value != NULL ? rules[i].rule (value, now_s, state) : NULL;
    if (reason != NULL && person->locked == NULL)
      person->locked = g_strdup (reason);
  }
}

UsherPerson *
usher_account_read (const UsherDirectorySetup *setup, LDAP *ldap, LDAPMessage *entry, gint64 now_s,
                    UsherAccountState *out_state, GError **error)
{
  g_autoptr (UsherPerson) person = g_new0 (UsherPerson, 1);
  char *dn = ldap_get_dn (ldap, entry);

  person->dn = g_strdup (dn);
  ldap_memfree (dn);
  person->name = dup_value (ldap, entry, setup->user_name_attribute);
  if (person->dn == NULL || *person->dn == '\0' || person->name == NULL) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "the directory's entry \"%s\" has no readable %s",
                 person->dn != NULL ? person->dn : "", setup->user_name_attribute);
    return NULL;
  }
  person->display_name = dup_value (ldap, entry, setup->display_name_attribute);
  if (person->display_name == NULL)
    person->display_name = g_strdup (person->name);
  person->mail = dup_value (ldap, entry, setup->mail_attribute);
  if (person->mail == NULL)
    person->mail = g_strdup ("");
  *out_state = (UsherAccountState){ 0 };
  read_state (ldap, entry, now_s, person, out_state);
  return g_steal_pointer (&person);
}
