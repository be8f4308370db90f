/* The pure parts of broker/auth: names, DNs, filters, account rules, verdicts, the order of servers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "broker/auth/account.h"
#include "broker/auth/directory_settings.h"
#include "broker/auth/filter.h"
#include "broker/auth/group_memory.h"
#include "broker/auth/verdict.h"
#include "broker/auth/watchdog.h"
#include "common/error.h"
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const UsherSetting schema[] = { USHER_DIRECTORY_SETTINGS, { .section = NULL } };

static UsherDirectorySetup *
make_setup (const char *more)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *text = g_strdup_printf ("[directory]\nservers = ldap://a ldaps://b ldapi://%%2Fc\nuser_base = a=b\n"
                                           "group_base = a=b\n%s",
                                           more);
  g_autoptr (UsherSettings) settings = usher_settings_parse (schema, "test", text, strlen (text), &error);
  UsherDirectorySetup *setup;

  assert_non_null (settings);
  setup = usher_directory_setup_new (settings, &error);
  assert_null (error);
  return setup;
}

static void
test_account_names (void **state)
{
  static const struct {
    const char *typed, *key;
  } cases[] = {
    { "alice", "alice" }, { "ALICE", "alice" }, { "Ａlice", "alice" }, { "Zoë", "zo\u00eb" }, { "Zoe\u0308", "zo\u00eb" },
    { "a b", "a b" },     { "*", "*" },         { "", NULL },          { " a", NULL },        { "a ", NULL },
    { "a  b", NULL },     { "a\nb", NULL },     { "a\x7f", NULL },     { "\xff", NULL },      { NULL, NULL },
    { "a\u200bb", NULL },
  };
  g_autofree char *longest = g_strnfill (256, 'a');
  g_autofree char *longer = g_strnfill (257, 'a');
  g_autofree char *longest_key = usher_account_name_key (longest);

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *key = usher_account_name_key (cases[i].typed);
    if (cases[i].key == NULL)
      assert_null (key);
    else
      assert_string_equal (key, cases[i].key);
  }
  assert_non_null (longest_key);
  assert_null (usher_account_name_key (longer));
}

static void
test_dn_keys (void **state)
{
  static const struct {
    const char *dn, *key;
  } cases[] = {
    { "cn=Design,ou=Groups,dc=A", "cn=design,ou=groups,dc=a" }, { "CN = Design , OU=groups, dc=a", "cn=design,ou=groups,dc=a" },
    { "cn=a\\2Cb,dc=a", "cn=a\\2cb,dc=a" },                       { "cn=a\\,b,dc=a", "cn=a\\2cb,dc=a" },
    { "design", NULL },                                         { "", NULL },
    { NULL, NULL },                                             { "cn=a,,dc=b", NULL },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *key = usher_dn_key (cases[i].dn);
    if (cases[i].key == NULL)
      assert_null (key);
    else
      assert_string_equal (key, cases[i].key);
  }
}

static void
test_in_group (void **state)
{
  char *groups[] = { "cn=design,dc=a", "cn=staff,dc=a", NULL };
  char *names[] = { "Design", "", NULL };
  UsherPerson person = { .groups = groups, .group_names = names };

  assert_true (usher_person_in_group (&person, "design"));
  assert_true (usher_person_in_group (&person, "CN=Staff, dc=A"));
  assert_false (usher_person_in_group (&person, "staff"));
  assert_false (usher_person_in_group (&person, ""));
  assert_false (usher_person_in_group (&person, "cn=sta"));
  assert_false (usher_person_in_group (&person, "cn=staff"));
  assert_false (usher_groups_contain (NULL, NULL, "design"));
  assert_false (usher_groups_contain (NULL, NULL, "cn=design,dc=a"));
}

static void
test_filters (void **state)
{
  g_autoptr (UsherDirectorySetup) setup = make_setup ("user_filter = (a=b)\ngroup_filter = (g=1)\n");
  static const char *const dns[] = { "cn=a\\2Cb,dc=x", "cn=(*),dc=x" };
  g_autofree char *plain = usher_filter_account (setup, "alice");
  g_autofree char *nasty = usher_filter_account (setup, "a*)(uid=\\x");
  g_autofree char *empty = usher_filter_account (setup, "");
  g_autofree char *groups = usher_filter_groups (setup, dns, 2, FALSE);
  g_autofree char *chain = usher_filter_groups (setup, dns, 1, TRUE);

  assert_string_equal (plain, "(&(a=b)(uid=alice))");
  assert_string_equal (nasty, "(&(a=b)(uid=a\\2A\\29\\28uid=\\5Cx))");
  assert_string_equal (empty, "(&(a=b)(uid=))");
  assert_string_equal (groups, "(&(g=1)(|(member=cn=a\\5C2Cb,dc=x)(member=cn=\\28\\2A\\29,dc=x)))");
  assert_string_equal (chain, "(&(g=1)(|(member:1.2.840.113556.1.4.1941:=cn=a\\5C2Cb,dc=x)))");
}

static void
test_filter_checks (void **state)
{
  static const char *const good[] = { "(a=b)", "(&(a=b)(!(c=*)))", "(userAccountControl:1.2.840.113556.1.4.803:=2)" };
  static const char *const bad[] = { "a=b", "(a=b", "(a=b)(c=d)", "()", "(&)(", "(a=b))" };

  for (gsize i = 0; i < G_N_ELEMENTS (good); i++)
    assert_true (usher_filter_is_valid (good[i]));
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    assert_false (usher_filter_is_valid (bad[i]));
  assert_true (usher_filter_attribute_is_valid ("sAMAccountName"));
  assert_true (usher_filter_attribute_is_valid ("2.5.4.3"));
  assert_false (usher_filter_attribute_is_valid ("a)(b"));
  assert_false (usher_filter_attribute_is_valid (""));
}

#define NOW_S G_GINT64_CONSTANT (1790000000)

static void
test_account_rules (void **state)
{
  static const struct {
    const char *attribute, *value;
    gboolean shut, final, hidden;
  } cases[] = {
    { "pwdAccountLockedTime", "000001010000Z", TRUE, TRUE, TRUE },
    { "pwdAccountLockedTime", "20261121134542Z", TRUE, FALSE, TRUE },
    { "userAccountControl", "512", FALSE, FALSE, FALSE },
    { "userAccountControl", "514", TRUE, TRUE, FALSE },
    { "userAccountControl", "rubbish", FALSE, FALSE, FALSE },
    { "accountExpires", "0", FALSE, FALSE, FALSE },
    { "accountExpires", "9223372036854775807", FALSE, FALSE, FALSE },
    { "accountExpires", "134344735990000000", TRUE, TRUE, FALSE },  /* one second before NOW_S */
    { "accountExpires", "134344736010000000", FALSE, FALSE, FALSE }, /* one after */
    { "shadowExpire", "-1", FALSE, FALSE, FALSE },
    { "shadowExpire", "20717", TRUE, TRUE, FALSE },
    { "shadowExpire", "20718", FALSE, FALSE, FALSE },
    { "nsAccountLock", "TRUE", TRUE, TRUE, FALSE },
    { "nsAccountLock", "false", FALSE, FALSE, FALSE },
    { "other", "1", FALSE, FALSE, FALSE },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    UsherAccountState account = { 0 };
    const char *reason = usher_account_rule (cases[i].attribute, cases[i].value, NOW_S, &account);
    assert_int_equal (reason != NULL, cases[i].shut);
    assert_int_equal (account.final, cases[i].final);
    assert_int_equal (account.hidden, cases[i].hidden);
  }
}

#define AD_TEXT(data) "80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data " data ", v1db1"
#define YES (-1)

static void
test_verdicts (void **state)
{
  static const UsherAccountState open_ = { 0 }, final = { .final = TRUE }, hidden = { .hidden = TRUE };
  static const struct {
    int code;
    const char *diagnostic;
    int policy;
    const char *locked;
    const UsherAccountState *account;
    int verdict;
    const char *words;
  } cases[] = {
    { LDAP_SUCCESS, "", PP_noError, NULL, &open_, YES, NULL },
    { LDAP_SUCCESS, "", PP_noError, "was locked", &hidden, YES, NULL },
    { LDAP_SUCCESS, "", PP_noError, "disabled", &final, USHER_ERROR_REFUSED, "disabled" },
    { LDAP_SUCCESS, "", PP_changeAfterReset, NULL, &open_, USHER_ERROR_REFUSED, "must be changed" },
    { LDAP_INVALID_CREDENTIALS, "", PP_noError, NULL, &open_, USHER_ERROR_UNAUTHENTICATED, "wrong" },
    { LDAP_INVALID_CREDENTIALS, "", PP_passwordExpired, NULL, &open_, USHER_ERROR_REFUSED, "expired" },
    { LDAP_INVALID_CREDENTIALS, "", PP_accountLocked, NULL, &open_, USHER_ERROR_REFUSED, "locked" },
    { LDAP_INVALID_CREDENTIALS, "", PP_noError, "was locked", &hidden, USHER_ERROR_REFUSED, "was locked" },
    { LDAP_INVALID_CREDENTIALS, "", PP_noError, "disabled", &final, USHER_ERROR_UNAUTHENTICATED, "wrong" },
    { LDAP_INVALID_CREDENTIALS, AD_TEXT ("52e"), PP_noError, NULL, &open_, USHER_ERROR_UNAUTHENTICATED, "wrong" },
    { LDAP_INVALID_CREDENTIALS, AD_TEXT ("525"), PP_noError, NULL, &open_, USHER_ERROR_UNAUTHENTICATED, "wrong" },
    { LDAP_INVALID_CREDENTIALS, AD_TEXT ("533"), PP_noError, NULL, &open_, USHER_ERROR_REFUSED, "disabled" },
    { LDAP_INVALID_CREDENTIALS, AD_TEXT ("5333"), PP_noError, NULL, &open_, USHER_ERROR_UNAUTHENTICATED, "wrong" },
    { LDAP_INVALID_CREDENTIALS, AD_TEXT ("775"), PP_noError, NULL, &open_, USHER_ERROR_REFUSED, "locked" },
    { LDAP_NO_SUCH_OBJECT, "", PP_noError, NULL, &open_, USHER_ERROR_UNAUTHENTICATED, "wrong" },
    { LDAP_CONSTRAINT_VIOLATION, "", PP_noError, NULL, &open_, USHER_ERROR_REFUSED, "locked" },
    { LDAP_UNWILLING_TO_PERFORM, "", PP_noError, "disabled", &final, USHER_ERROR_REFUSED, "disabled" },
    { LDAP_UNWILLING_TO_PERFORM, "no", PP_noError, NULL, &open_, USHER_ERROR_UNAVAILABLE, "no" },
    { LDAP_BUSY, "", PP_noError, NULL, &open_, USHER_ERROR_UNAVAILABLE, "busy" },
    { LDAP_CONFIDENTIALITY_REQUIRED, "", PP_noError, "was locked", &final, USHER_ERROR_UNAVAILABLE, "Confid" },
    { LDAP_REFERRAL, "", PP_noError, NULL, &open_, USHER_ERROR_UNAVAILABLE, "eferral" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++) {
    const UsherBindAnswer answer = { cases[i].code, (char *) cases[i].diagnostic, cases[i].policy };
    g_autoptr (GError) error = NULL;
    gboolean yes = usher_verdict (&answer, cases[i].locked, *cases[i].account, &error);
    assert_int_equal (yes, cases[i].verdict == YES);
    if (yes)
      continue;
    assert_true (g_error_matches (error, USHER_ERROR, cases[i].verdict));
    assert_non_null (strstr (error->message, cases[i].words));
  }
}

static void
assert_order (UsherDirectorySetup *setup, gint64 now_us, guint a, guint b, guint c)
{
  guint order[3];

  usher_directory_setup_order (setup, now_us, order);
  assert_int_equal (order[0], a);
  assert_int_equal (order[1], b);
  assert_int_equal (order[2], c);
}

static void
test_server_order (void **state)
{
  g_autoptr (UsherDirectorySetup) setup = make_setup ("avoid_failed_s = 10\n");

  assert_order (setup, 0, 0, 1, 2);
  assert_false (usher_directory_setup_note (setup, 0, FALSE, 0));
  assert_true (usher_directory_setup_note (setup, 0, TRUE, 0));
  assert_false (usher_directory_setup_note (setup, 0, TRUE, 0));
  assert_order (setup, 1, 1, 2, 0);
  usher_directory_setup_note (setup, 1, TRUE, 1);
  usher_directory_setup_note (setup, 2, TRUE, 1);
  assert_order (setup, 2, 0, 1, 2);
  assert_order (setup, 10 * G_USEC_PER_SEC, 0, 1, 2);
  assert_true (usher_directory_setup_note (setup, 0, FALSE, 3));
  assert_order (setup, 4, 0, 1, 2);
}

static GHashTable *
new_groups (const char *const *dns)
{
  GHashTable *groups = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);

  for (; *dns != NULL; dns++)
    g_hash_table_insert (groups, g_strdup (*dns), g_strdup ("name"));
  return groups;
}

static void
test_group_memory (void **state)
{
  static const char *const ab[] = { "cn=a", "cn=b", NULL }, *const ba[] = { "cn=b", "cn=a", NULL },
                    *const joined[] = { "cn=a4:cn=b", NULL }, *const all[] = { "cn=a", "cn=b", "cn=c", NULL };
  g_autoptr (UsherGroupMemory) memory = usher_group_memory_new (10);
  g_autoptr (GHashTable) one = new_groups (ab), same = new_groups (ba), other = new_groups (joined), found = new_groups (all);
  g_autofree char *key = usher_group_memory_key (one), *same_key = usher_group_memory_key (same),
                  *other_key = usher_group_memory_key (other);

  assert_string_equal (key, same_key);
  assert_string_not_equal (key, other_key);
  assert_null (usher_group_memory_get (memory, key, 100));
  usher_group_memory_put (memory, key, found, 100);
  GHashTable *known = usher_group_memory_get (memory, same_key, 109);
  assert_ptr_equal (known, found);
  g_hash_table_unref (known);
  assert_null (usher_group_memory_get (memory, other_key, 109));
  assert_null (usher_group_memory_get (memory, key, 110));
  for (guint i = 0; i < 3000; i++) { /* a bounded number is kept, the newest among them */
    g_autofree char *some = g_strdup_printf ("%u", i);
    usher_group_memory_put (memory, some, found, 200);
    g_autoptr (GHashTable) kept = usher_group_memory_get (memory, some, 200);
    assert_ptr_equal (kept, found);
  }
  assert_null (usher_group_memory_get (memory, "0", 200));
}

static void
test_watchdog (void **state)
{
  int ends[2];
  char byte;

  assert_int_equal (socketpair (AF_UNIX, SOCK_STREAM, 0, ends), 0);
  assert_false (usher_watchdog_free (usher_watchdog_new (ends[0], g_get_monotonic_time () + G_USEC_PER_SEC * 60)));
  assert_int_equal (write (ends[0], "x", 1), 1);
  UsherWatchdog *watchdog = usher_watchdog_new (ends[0], g_get_monotonic_time () + 1000);
  assert_int_equal (read (ends[0], &byte, 1), 0); /* would wait for ever */
  assert_true (usher_watchdog_free (watchdog));
  close (ends[0]);
  close (ends[1]);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (test_account_names), cmocka_unit_test (test_dn_keys),       cmocka_unit_test (test_in_group),
    cmocka_unit_test (test_filters),       cmocka_unit_test (test_filter_checks), cmocka_unit_test (test_account_rules),
    cmocka_unit_test (test_verdicts),      cmocka_unit_test (test_server_order),  cmocka_unit_test (test_watchdog),
    cmocka_unit_test (test_group_memory),
  };

  cmocka_set_message_output (CM_OUTPUT_TAP);
  return cmocka_run_group_tests_name ("auth", tests, NULL, NULL);
}
