/* Migrations, records, audit, sign-in. */
#include <stdio.h>

#include "tests/integration/store/rig.h"

static gpointer
migrate_thread (gpointer data)
{
  GError *error = NULL;
  (void) data;
  return usher_store_migrate (rig_owner (), &error) ? NULL : error;
}

static void
many_brokers_migrate_at_once (void **state)
{
  GThread *threads[8];
  (void) state;
  for (int i = 0; i < 8; i++)
    threads[i] = g_thread_new ("migrate", migrate_thread, NULL);
  for (int i = 0; i < 8; i++)
    {
      GError *error = g_thread_join (threads[i]);
      if (error != NULL)
        fail_msg ("%s", error->message);
    }
  assert_int_equal (rig_number ("SELECT count(*) FROM usher_migration"), usher_store_schema_version ());
  assert_int_equal (rig_number ("SELECT count(*) FROM deployment"), 1);
  g_autoptr (UsherStore) store = rig_store ();
  rig_good (usher_store_probe (store, &error));
}

static void
a_newer_database_is_refused (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  (void) state;
  g_free (rig_sql (rig_owner (), "INSERT INTO usher_migration (version, name) VALUES (999, 'of tomorrow')"));
  rig_refused (usher_store_migrate (rig_owner (), &error), USHER_ERROR_CONFLICT);
  rig_refused (usher_store_probe (store, &error), USHER_ERROR_CONFLICT);
}

static void
the_audit_trail_stands (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  const UsherAuditLine line = { .action = "test", .outcome = "ok", .message = "a line\xff with \"bytes\" in it" };
  static const char *const as_broker[]
      = { "UPDATE audit SET actor = 'x'",
          "DELETE FROM audit",
          "TRUNCATE audit",
          "INSERT INTO audit (at, action, outcome) VALUES (now() - interval '1 day', 'a', 'ok')",
          "INSERT INTO audit (seq, action, outcome) OVERRIDING SYSTEM VALUE VALUES (7, 'a', 'ok')",
          "ALTER TABLE audit DISABLE TRIGGER ALL",
          "DROP TABLE audit",
          "CREATE TABLE mine (x int)" };
  static const char *const as_owner[] = { "UPDATE audit SET actor = 'x'", "DELETE FROM audit", "TRUNCATE audit" };
  (void) state;
  rig_good (usher_store_audit (store, &rig_admin, &line, &error));
  for (gsize i = 0; i < G_N_ELEMENTS (as_broker); i++)
    {
      g_autofree char *sqlstate = rig_sqlstate (rig_broker (), as_broker[i]);
      assert_string_equal (sqlstate, "42501");
    }
  for (gsize i = 0; i < G_N_ELEMENTS (as_owner); i++)
    {
      g_autofree char *sqlstate = rig_sqlstate (rig_owner (), as_owner[i]);
      assert_string_equal (sqlstate, "UA001");
    }
  assert_int_equal (rig_number ("SELECT count(*) FROM audit WHERE actor = 'root' AND action = 'test'"), 1);
}

static void
audit_is_listed_newest_first_in_pages (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  (void) state;
  for (int i = 0; i < 5; i++)
    {
      const UsherAuditLine line = { .action = "test", .outcome = "ok", .message = "x" };
      rig_good (usher_store_audit (store, &rig_admin, &line, &error));
    }
  json_auto_t *page = usher_store_list (store, USHER_KIND_AUDIT, 2, 0, NULL);
  const json_t *items = json_object_get (page, "items");
  assert_int_equal (json_array_size (items), 2);
  gint64 seq = usher_json_int (json_object_get (json_array_get (items, 1), "status"), "seq");
  assert_int_equal (seq, 4);
  json_auto_t *next = usher_store_list (store, USHER_KIND_AUDIT, 2, seq, NULL);
  assert_int_equal (
      usher_json_int (json_object_get (json_array_get (json_object_get (next, "items"), 0), "status"), "seq"), 3);
}

#define POOL_WITH(more)                                                                                                \
  "{'display_name': 'x', 'template': 'tiny', 'spares': 1, 'maximum': 2, 'vcpus': 1, 'ram_mib': 256, 'naming': "        \
  "'a-{n}', " more "}"

static void
specs_are_checked_by_path (void **state)
{
  static const struct {
    UsherKind kind;
    const char *name, *spec, *says;
  } cases[] = {
    { USHER_KIND_POOL, "p",
      "{'display_name': 'x', 'template': 'tiny', 'spares': 1, 'maximum': 2, 'vcpus': 1, 'ram_mib': 1, 'naming': "
      "'a-{n}'}",
      "spec.ram_mib" },
    { USHER_KIND_POOL, "p",
      "{'display_name': 'x', 'template': 'tiny', 'spares': 3, 'maximum': 2, 'vcpus': 1, 'ram_mib': 256, 'naming': "
      "'a-{n}'}",
      "spec.spares" },
    { USHER_KIND_POOL, "p",
      "{'display_name': 'x', 'template': 'tiny', 'spares': 1, 'maximum': 2, 'vcpus': 1, 'ram_mib': 256, 'naming': 'a'}",
      "spec.naming" },
    { USHER_KIND_POOL, "p",
      "{'display_name': 'x', 'template': 'tiny', 'spares': 1, 'maximum': 2, 'vcpus': 1, 'ram_mib': 256, 'naming': "
      "'A{n}'}",
      "spec.naming" },
    { USHER_KIND_POOL, "p",
      "{'display_name': 'x', 'template': 'none', 'spares': 1, 'maximum': 2, 'vcpus': 1, 'ram_mib': 256, 'naming': "
      "'a-{n}'}",
      "no template \"none\"" },
    { USHER_KIND_POOL, "p",
      "{'template': 'tiny', 'spares': 1, 'maximum': 2, 'vcpus': 1, 'ram_mib': 256, 'naming': 'a-{n}'}",
      "spec.display_name" },
    { USHER_KIND_POOL, "p", "{'display_name': 'x', 'colour': 'red'}", "spec.colour" },
    { USHER_KIND_POOL, "p", POOL_WITH ("'assignment': 'borrowed'"), "spec.assignment" },
    { USHER_KIND_POOL, "p", POOL_WITH ("'clone': 'fast'"), "spec.clone" },
    { USHER_KIND_POOL, "p", POOL_WITH ("'clone': null"), "spec.clone" },
    { USHER_KIND_POOL, "p", POOL_WITH ("'data_gib': 10"), "spec.data_gib: only" },
    { USHER_KIND_POOL, "p", POOL_WITH ("'assignment': 'fresh-system', 'data_gib': 0"), "spec.data_gib" },
    { USHER_KIND_POOL, "p", POOL_WITH ("'assignment': 'dedicated', 'linger_s': 10"), "spec.linger_s: only" },
    { USHER_KIND_POOL, "p", POOL_WITH ("'assignment': 'floating', 'linger_s': -1"), "spec.linger_s" },
    { USHER_KIND_POOL, "p", POOL_WITH ("'assignment': 'floating', 'data_gib': 1"), "spec.data_gib: only" },
    { USHER_KIND_ENTITLEMENT, "e", "{'pool': 'none', 'user': 'a'}", "no pool \"none\"" },
    { USHER_KIND_ENTITLEMENT, "e", "{'pool': 'none'}", "\"group\" or \"user\"" },
    { USHER_KIND_ENTITLEMENT, "e", "{'pool': 'none', 'user': 'a', 'group': 'b'}", "\"group\" or \"user\"" },
    { USHER_KIND_ENTITLEMENT, "e", "{'pool': 'none', 'group': 'cn=,,='}", "spec.group" },
    { USHER_KIND_HOST, "h", "{'mode': 'fast'}", "spec.mode" },
    { USHER_KIND_HOST, "H", "{'mode': 'active'}", "is not a name" },
    { USHER_KIND_TEMPLATE, "t", "{'version': '1'}", "spec.version" },
    { USHER_KIND_TEMPLATE, "t", "{'version': 0}", "spec.version" },
  };
  g_autoptr (UsherStore) store = rig_store ();
  (void) state;
  rig_apply (store, USHER_KIND_TEMPLATE, "tiny", "{'version': 1}");
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autoptr (GError) error = NULL;
      g_autofree char *text = g_strdelimit (g_strdup (cases[i].spec), "'", '"');
      json_auto_t *spec = json_loads (text, 0, NULL);
      assert_null (usher_store_apply (store, &rig_admin, cases[i].kind, cases[i].name, spec, 0, NULL, &error));
      assert_true (g_error_matches (error, USHER_ERROR, USHER_ERROR_INVALID));
      if (strstr (error->message, cases[i].says) == NULL)
        fail_msg ("«%s» does not say «%s»", error->message, cases[i].says);
    }
  json_auto_t *nothing = json_object ();
  rig_refused (usher_store_apply (store, &rig_admin, USHER_KIND_DESKTOP, "d", nothing, 0, NULL, &error),
               USHER_ERROR_REFUSED);
  rig_refused (usher_store_apply (store, &rig_admin, USHER_KIND_AUDIT, "1", nothing, 0, NULL, &error),
               USHER_ERROR_REFUSED);
}

static void
records_are_made_changed_and_deleted (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  UsherApplied applied;
  gboolean pending = TRUE;
  (void) state;
  rig_pool (store, 0, 5);
  json_auto_t *record = usher_store_get (store, USHER_KIND_TEMPLATE, "tiny", NULL),
              *spec = json_pack ("{s:i}", "version", 2);
  const char *id = usher_json_string (record, "id");
  gint64 version = usher_json_int (record, "resource_version");
  json_auto_t *by_id = usher_store_get (store, USHER_KIND_TEMPLATE, id, NULL);
  assert_true (json_equal (record, by_id));

  json_auto_t *second = NULL, *third = NULL;
  rig_good (second
            = usher_store_apply (store, &rig_admin, USHER_KIND_TEMPLATE, "tiny", spec, version, &applied, &error));
  assert_int_equal (applied, USHER_APPLIED_CHANGED);
  assert_true (usher_json_int (second, "resource_version") > version);
  rig_refused (usher_store_apply (store, &rig_admin, USHER_KIND_TEMPLATE, "tiny", spec, version, &applied, &error),
               USHER_ERROR_CONFLICT);
  rig_good (third = usher_store_apply (store, &rig_admin, USHER_KIND_TEMPLATE, "tiny", spec, 0, &applied, &error));
  assert_int_equal (applied, USHER_APPLIED_SAME);
  assert_true (json_equal (second, third));

  rig_refused (usher_store_delete (store, &rig_admin, USHER_KIND_TEMPLATE, "tiny", &pending, &error),
               USHER_ERROR_CONFLICT);
  rig_refused (usher_store_delete (store, &rig_admin, USHER_KIND_POOL, "none", &pending, &error), USHER_ERROR_MISSING);
  rig_refused (usher_store_delete (store, &rig_admin, USHER_KIND_SESSION, "x", &pending, &error), USHER_ERROR_REFUSED);
  rig_good (usher_store_delete (store, &rig_admin, USHER_KIND_POOL, "office", &pending, &error));
  assert_false (pending);
  rig_good (usher_store_delete (store, &rig_admin, USHER_KIND_TEMPLATE, id, &pending, &error));

  json_auto_t *changes = NULL;
  rig_good (usher_store_changes (store, USHER_KIND_TEMPLATE, version, &changes, &error));
  assert_non_null (changes);
  assert_int_equal (json_array_size (json_object_get (changes, "items")), 0);
  assert_string_equal (json_string_value (json_array_get (json_object_get (changes, "deleted"), 0)), id);
  json_auto_t *none = NULL;
  rig_good (
      usher_store_changes (store, USHER_KIND_TEMPLATE, usher_json_int (changes, "resource_version"), &none, &error));
  assert_null (none);
  assert_int_equal (rig_number ("SELECT count(*) FROM entitlement"), 0); /* went with the pool */
  assert_int_equal (rig_number ("SELECT count(*) FROM audit WHERE action = 'delete' AND outcome = 'ok'"), 2);
  assert_int_equal (rig_number ("SELECT count(*) FROM audit WHERE outcome = 'conflict'"), 2);
}

static void
forgotten_deletions_ask_for_a_list (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  gboolean pending;
  json_auto_t *changes = NULL;
  (void) state;
  rig_apply (store, USHER_KIND_TEMPLATE, "tiny", "{'version': 1}");
  json_auto_t *list = usher_store_list (store, USHER_KIND_TEMPLATE, 0, 0, NULL);
  rig_good (usher_store_delete (store, &rig_admin, USHER_KIND_TEMPLATE, "tiny", &pending, &error));
  g_free (rig_sql (rig_super (), "UPDATE deleted SET at = now() - interval '2 hours'"));
  rig_good (usher_work_forget (store, &error));
  rig_refused (
      usher_store_changes (store, USHER_KIND_TEMPLATE, usher_json_int (list, "resource_version"), &changes, &error),
      USHER_ERROR_CONFLICT);
}

static void
sign_ins_are_sessions_until_revoked (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  UsherActor actor = { "alice", "192.0.2.7", NULL };
  char *groups[] = { (char *) "cn=staff", NULL }, *names[] = { (char *) "Staff", NULL };
  UsherPerson alice
      = { (char *) "alice", (char *) "uid=alice", (char *) "Alice \"A\"", (char *) "", groups, names, NULL };
  char one[USHER_TOKEN_SIZE], two[USHER_TOKEN_SIZE], old[USHER_TOKEN_SIZE];
  (void) state;
  rig_good (usher_store_sign_in_done (store, "alice", &alice, &actor, 3600, one, &error));
  rig_good (usher_store_sign_in_done (store, "alice", &alice, &actor, 3600, two, &error));
  rig_good (usher_store_sign_in_done (store, "alice", &alice, &actor, 0, old, &error));
  assert_int_equal (rig_number ("SELECT count(*) FROM person"), 1);
  g_autoptr (UsherSignedIn) found = usher_store_find_signed_in (store, one, NULL);
  assert_string_equal (found->display_name, "Alice \"A\"");
  assert_string_equal (found->groups[0], "cn=staff");
  assert_string_equal (found->group_names[0], "Staff");
  rig_refused (usher_store_find_signed_in (store, old, &error), USHER_ERROR_UNAUTHENTICATED);
  rig_refused (usher_store_find_signed_in (store, "x' OR true --", &error), USHER_ERROR_UNAUTHENTICATED);
  rig_refused (usher_store_find_signed_in (store, NULL, &error), USHER_ERROR_UNAUTHENTICATED);
  rig_good (usher_store_sign_out (store, &actor, found->session, &error));
  rig_good (usher_store_sign_out (store, &actor, found->session, &error));
  rig_refused (usher_store_find_signed_in (store, one, &error), USHER_ERROR_UNAUTHENTICATED);
  g_autoptr (UsherSignedIn) other = usher_store_find_signed_in (store, two, NULL);
  assert_non_null (other);
  rig_good (usher_store_sign_out_all (store, &actor, "Alice", &error));
  rig_refused (usher_store_find_signed_in (store, two, &error), USHER_ERROR_UNAUTHENTICATED);
  assert_int_equal (rig_number ("SELECT count(*) FROM web_session WHERE hash IN ('') OR length(hash) <> 64"), 0);
}

static void
failed_sign_ins_are_held_back (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  UsherActor here = { NULL, "192.0.2.7", NULL }, there = { NULL, "192.0.2.8", NULL };
  g_autoptr (GError) no = g_error_new (USHER_ERROR, USHER_ERROR_UNAUTHENTICATED, "the name or the password is wrong");
  g_autoptr (GError) unknown = g_error_new (USHER_ERROR, USHER_ERROR_UNAVAILABLE, "the directory is down");
  guint wait_s = 0;
  (void) state;
  for (int i = 0; i < 20; i++) /* "could not find out" costs nothing */
    {
      rig_good (usher_store_sign_in_begin (store, "bob", &here, &wait_s, &error));
      rig_good (usher_store_sign_in_failed (store, "bob", &here, unknown, &error));
    }
  for (int i = 0; i < 5; i++)
    {
      rig_good (usher_store_sign_in_begin (store, "bob", &here, &wait_s, &error));
      rig_good (usher_store_sign_in_failed (store, "bob", &here, no, &error));
    }
  rig_refused (usher_store_sign_in_begin (store, "bob", &here, &wait_s, &error), USHER_ERROR_THROTTLED);
  assert_in_range (wait_s, 1, 2);
  rig_refused (usher_store_sign_in_begin (store, "bob", &there, &wait_s, &error), USHER_ERROR_THROTTLED);
  rig_good (usher_store_sign_in_begin (store, "eve", &here, &wait_s, &error)); /* the address has failed little */
  g_free (rig_sql (rig_super (), "UPDATE attempt SET at = at - interval '3 seconds' WHERE failed"));
  rig_good (usher_store_sign_in_begin (store, "bob", &here, &wait_s, &error));
  rig_person (store, "bob", "staff", NULL); /* a yes forgets */
  assert_int_equal (rig_number ("SELECT count(*) FROM attempt WHERE account = 'bob' AND failed"), 0);
  assert_int_equal (rig_number ("SELECT count(*) FROM audit WHERE action = 'signin' AND outcome = 'throttled'"), 1);
  assert_int_equal (rig_number ("SELECT count(*) FROM audit WHERE action = 'signin' AND outcome = 'unauthenticated'"),
                    5);
  assert_int_equal (rig_number ("SELECT count(*) FROM audit WHERE action = 'signin' AND outcome = 'unavailable'"), 20);
}

static void
what_goes_wrong_is_rolled_back (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  char person[USHER_ID_SIZE], host[USHER_ID_SIZE];
  UsherActor alice = { "alice", NULL, NULL };
  (void) state;
  rig_pool (store, 1, 2);
  rig_host (store, "kvm1", host);
  rig_person (store, "alice", "staff", person);
  rig_work (store);
  rig_obey (store, host, USHER_SEEN_READY);
  assert_int_equal (rig_number ("SELECT count(*) FROM desktop WHERE state = 'spare'"), 1);
  g_free (rig_sql (rig_super (), "ALTER TABLE ticket ADD CONSTRAINT never CHECK (false) NOT VALID"));
  rig_refused (usher_store_connect (store, &alice, person, "office", "browser", NULL, &error), USHER_ERROR_CONFLICT);
  assert_int_equal (
      rig_number ("SELECT count(*) FROM desktop WHERE state = 'spare' AND owner IS NULL AND console_revision = 0"), 1);
  assert_int_equal (rig_number ("SELECT count(*) FROM session"), 0);
  g_free (rig_sql (rig_super (), "ALTER TABLE ticket DROP CONSTRAINT never"));
  g_autoptr (UsherConnect) connect = NULL;
  rig_good (connect = usher_store_connect (store, &alice, person, "office", "browser", NULL, &error));
  assert_true (connect->ready);
}

static const struct CMUnitTest record_tests[] = {
  cmocka_unit_test (many_brokers_migrate_at_once),
  cmocka_unit_test (a_newer_database_is_refused),
  cmocka_unit_test (the_audit_trail_stands),
  cmocka_unit_test (audit_is_listed_newest_first_in_pages),
  cmocka_unit_test (specs_are_checked_by_path),
  cmocka_unit_test (records_are_made_changed_and_deleted),
  cmocka_unit_test (forgotten_deletions_ask_for_a_list),
  cmocka_unit_test (sign_ins_are_sessions_until_revoked),
  cmocka_unit_test (failed_sign_ins_are_held_back),
  cmocka_unit_test (what_goes_wrong_is_rolled_back),
};

int
run_record_tests (const char *name)
{
  if (!g_str_equal (name, "--list"))
    return cmocka_run_group_tests (record_tests, NULL, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (record_tests); i++)
    puts (record_tests[i].name);
  return 0;
}
