/* Unit tests of what in broker/store needs no database: names and keys of specs, the console key. */
#include <glib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#include "broker/store/console_key.h"
#include "broker/store/kind.h"
#include "broker/store/migrate.h"
#include "broker/store/migration_list.h"
#include "broker/store/spec.h"
#include "common/error.h"

static void
names_by_table (void **state)
{
  static const struct {
    const char *name;
    gboolean valid;
  } cases[] = {
    { "office", TRUE },
    { "o", TRUE },
    { "a-b.c-1", TRUE },
    { "", FALSE },
    { NULL, FALSE },
    { "Office", FALSE },
    { "-a", FALSE },
    { "a-", FALSE },
    { "a b", FALSE },
    { "a/b", FALSE },
    { "a\nb", FALSE },
    { "\xc3\xa4", FALSE },
    { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", TRUE },
    { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", FALSE },
  };
  (void) state;
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    assert_int_equal (usher_spec_name_is_valid (cases[i].name), cases[i].valid);
}

/* A person has the key of every entitlement that means them, however it is spelt, and no other. */
static void
entitlement_keys_meet_persons_keys (void **state)
{
  const char *groups[] = { "cn=staff,ou=groups,dc=example", NULL }, *names[] = { "Staff", NULL };
  g_auto (GStrv) keys = usher_spec_person_keys ("alice", groups, names);
  static const struct {
    const char *member, *value;
    gboolean meant;
  } cases[] = {
    { "user", "Alice", TRUE },
    { "user", "alic", FALSE },
    { "user", "staff", FALSE },
    { "group", "STAFF", TRUE },
    { "group", "alice", FALSE },
    { "group", "CN=Staff, OU=Groups, DC=Example", TRUE },
    { "group", "cn=staff,dc=example", FALSE },
  };
  (void) state;
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      json_auto_t *spec = json_pack ("{s:s}", cases[i].member, cases[i].value);
      g_autofree char *key = usher_spec_entitlement_key (spec, NULL);
      assert_non_null (key);
      assert_int_equal (g_strv_contains ((const char *const *) keys, key), cases[i].meant);
    }
}

static void
kinds_come_back (void **state)
{
  (void) state;
  for (int i = 0; i < USHER_KINDS; i++)
    {
      UsherKind kind = USHER_KINDS;
      assert_true (usher_kind_parse (usher_kind_name (i), &kind));
      assert_int_equal (kind, i);
    }
  UsherKind kind;
  assert_false (usher_kind_parse ("pools", &kind));
  assert_false (usher_kind_parse (NULL, &kind));
}

static void
migrations_are_numbered_without_gaps (void **state)
{
  (void) state;
  assert_true (usher_store_schema_version () > 0);
  for (guint i = 0; i < usher_store_schema_version (); i++)
    {
      assert_int_equal (usher_migrations[i].number, i + 1);
      assert_true (strlen (usher_migrations[i].text) > 0);
    }
}

static void
secrets_come_back_only_with_the_key (void **state)
{
  g_autofree char *dir = g_dir_make_tmp ("usher-key-XXXXXX", NULL), *path = g_build_filename (dir, "console.key", NULL);
  g_autoptr (UsherConsoleKey) key = usher_console_key_open (dir, NULL), same = usher_console_key_open (dir, NULL);
  g_autoptr (UsherSecret) secret = usher_secret_new_token ();
  g_autoptr (GBytes) sealed = usher_console_key_seal (key, secret), again = usher_console_key_seal (key, secret);
  g_autoptr (GError) error = NULL;
  struct stat status;
  gsize length;
  const guint8 *bytes = g_bytes_get_data (sealed, &length);
  (void) state;
  assert_int_equal (stat (path, &status), 0);
  assert_int_equal (status.st_mode & 0777, 0600);
  assert_false (g_bytes_equal (sealed, again));
  g_autoptr (UsherSecret) opened = usher_console_key_unseal (same, bytes, length, NULL);
  assert_true (usher_secret_equal (opened, secret));
  g_autofree guint8 *bent = g_memdup2 (bytes, length);
  bent[length - 1] ^= 1;
  assert_null (usher_console_key_unseal (key, bent, length, &error));
  assert_true (g_error_matches (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE));
  assert_null (usher_console_key_unseal (key, bytes, 3, NULL));
  assert_true (g_file_set_contents (path, "short\n", -1, NULL));
  g_clear_error (&error);
  assert_null (usher_console_key_open (dir, &error));
  assert_true (g_error_matches (error, USHER_ERROR, USHER_ERROR_INVALID));
  g_unlink (path);
  g_rmdir (dir);
}

int
main (void)
{
  const struct CMUnitTest store[] = {
    cmocka_unit_test (names_by_table),
    cmocka_unit_test (entitlement_keys_meet_persons_keys),
    cmocka_unit_test (kinds_come_back),
    cmocka_unit_test (migrations_are_numbered_without_gaps),
    cmocka_unit_test (secrets_come_back_only_with_the_key),
  };
  cmocka_set_message_output (CM_OUTPUT_TAP);
  return cmocka_run_group_tests (store, NULL, NULL);
}
