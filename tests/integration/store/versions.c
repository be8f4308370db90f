/* Template versions: taking them in, publishing, rolling back, retiring, and what hosts are told of them. */
#include <stdio.h>

#include "broker/store/uploads.h"
#include "broker/store/versions.h"
#include "tests/integration/store/rig.h"

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static json_t *
text (const char *single_quoted)
{
  g_autofree char *json = g_strdelimit (g_strdup (single_quoted), "'", '"');
  json_t *value = json_loads (json, 0, NULL);
  assert_non_null (value);
  return value;
}

static UsherUploadBegun
begin (UsherStore *store, const char *digest, guint limit, UsherUpload **out, gint64 *out_version, GError **error)
{
  json_auto_t *manifest = text ("{'name': 'tiny', 'minimum': {'vcpus': 2, 'ram_mib': 300}}");
  json_auto_t *files = text ("[{'file': 'disk.qcow2', 'size': 5, 'sha256': '" SHA "'}]");
  UsherUploadWish wish = { .template = "tiny", .note = "why", .digest = digest, .manifest = manifest, .files = files };
  UsherUploadBegun begun = USHER_UPLOAD_NEW;
  return usher_store_upload_begin (store, &rig_admin, &wish, limit, &begun, out, out_version, error) ? begun : (UsherUploadBegun) -1;
}

/* A whole upload; its version. */
static gint64
take_in (UsherStore *store, const char *digest)
{
  g_autoptr (GError) failure = NULL;
  g_autoptr (UsherUpload) upload = NULL;
  json_auto_t *files = text ("[{'file': 'manifest.json', 'size': 9, 'sha256': '" SHA "'}]");
  gint64 version = 0;
  assert_int_equal (begin (store, digest, 8, &upload, &version, &failure), USHER_UPLOAD_NEW);
  rig_good (usher_store_upload_number (store, upload->id, 0, &upload->version, &error));
  rig_good (usher_store_upload_finish (store, &rig_admin, upload, upload->manifest, files, &error));
  return upload->version;
}

static json_t *
change (UsherStore *store, UsherVersionChange what, gint64 version, char **out_rules, GError **error)
{
  json_auto_t *reasons = NULL;
  json_t *record = usher_store_version_change (store, &rig_admin, what, "tiny", version, &reasons, error);
  g_autoptr (GString) rules = g_string_new (NULL);
  size_t i;
  json_t *one;
  json_array_foreach (reasons, i, one)
    g_string_append_printf (rules, "%s ", usher_json_string (one, "rule"));
  if (out_rules != NULL)
    *out_rules = g_string_free (g_steal_pointer (&rules), FALSE);
  return record;
}

static void
must_change (UsherStore *store, UsherVersionChange what, gint64 version, const char *published)
{
  g_autoptr (GError) error = NULL;
  json_auto_t *record = change (store, what, version, NULL, &error);
  if (record == NULL)
    fail_msg ("%s", error->message);
  g_autofree char *now = rig_sql (rig_super (), "SELECT spec->>'version' FROM template WHERE name = 'tiny'");
  assert_string_equal (now, published);
}

static void
must_refuse (UsherStore *store, UsherVersionChange what, gint64 version, UsherError code, const char *rules)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *found = NULL;
  json_auto_t *record = change (store, what, version, &found, &error);
  assert_null (record);
  assert_int_equal (error->code, code);
  assert_string_equal (found, rules);
}

static void
an_upload_is_found_again (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  g_autoptr (GError) failure = NULL;
  g_autoptr (UsherUpload) first = NULL, again = NULL, second = NULL;
  gint64 version = 0;
  (void) state;
  assert_int_equal (begin (store, "a", 1, &first, &version, &failure), USHER_UPLOAD_NEW);
  assert_int_equal (begin (store, "a", 1, &again, &version, &failure), USHER_UPLOAD_OLD);
  assert_string_equal (first->id, again->id);
  assert_true (begin (store, "b", 1, &second, &version, &failure) == (UsherUploadBegun) -1);
  assert_true (g_error_matches (failure, USHER_ERROR, USHER_ERROR_EXHAUSTED));
  rig_refused (usher_store_upload_find (store, "11111111-2222-4333-8444-555555555555", &error), USHER_ERROR_MISSING);
  rig_refused (usher_store_upload_find (store, "../x", &error), USHER_ERROR_INVALID);
  g_auto (GStrv) idle = usher_store_upload_list_idle (store, 60, NULL);
  assert_int_equal (g_strv_length (idle), 0);
  g_free (rig_sql (rig_super (), "UPDATE template_upload SET touched_at = now() - interval '2 minutes'"));
  g_strfreev (idle);
  idle = usher_store_upload_list_idle (store, 60, NULL);
  assert_string_equal (idle[0], first->id);
  g_autoptr (UsherUpload) touched = usher_store_upload_find (store, first->id, NULL);
  g_strfreev (idle);
  idle = usher_store_upload_list_idle (store, 60, NULL);
  assert_int_equal (g_strv_length (idle), 0);
  rig_good (usher_store_upload_drop (store, &rig_admin, first->id, "enough", &error));
  rig_good (usher_store_upload_drop (store, &rig_admin, first->id, "enough", &error));
  rig_refused (usher_store_upload_find (store, first->id, &error), USHER_ERROR_MISSING);
}

static void
numbers_are_given_once (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  g_autoptr (GError) failure = NULL;
  g_autoptr (UsherUpload) one = NULL, two = NULL, none = NULL;
  char host[USHER_ID_SIZE];
  gint64 version = 0, number = 0;
  (void) state;
  rig_pool (store, 0, 2); /* "tiny" 1 */
  rig_host (store, "kvm1", host);
  g_free (rig_sql (rig_super (), "UPDATE host SET templates = '{tiny/1,tiny/6,tinyer/50,tiny/x}'"));
  begin (store, "a", 8, &one, &version, &failure);
  begin (store, "b", 8, &two, &version, &failure);
  rig_good (usher_store_upload_number (store, one->id, 0, &number, &error));
  assert_int_equal (number, 7);
  rig_good (usher_store_upload_number (store, two->id, 0, &number, &error));
  assert_int_equal (number, 8);
  rig_good (usher_store_upload_number (store, one->id, 12, &number, &error));
  assert_int_equal (number, 12);
  json_auto_t *files = text ("[]");
  rig_refused (usher_store_upload_finish (store, &rig_admin, one, one->manifest, files, &error), USHER_ERROR_CONFLICT);
  one->version = 12;
  rig_good (usher_store_upload_finish (store, &rig_admin, one, one->manifest, files, &error));
  rig_good (usher_store_upload_finish (store, &rig_admin, one, one->manifest, files, &error)); /* again: the same */
  assert_int_equal (rig_number ("SELECT count(*) FROM audit WHERE action = 'create' AND kind = 'template-version'"), 1);
  assert_int_equal (begin (store, "a", 8, &none, &version, &failure), USHER_UPLOAD_DONE);
  assert_int_equal (version, 12);
  assert_null (none);
}

static void
a_version_stands (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  (void) state;
  take_in (store, "a");
  static const char *const changes[] = { "manifest = '{}'", "files = '[]'", "version = 9", "note = 'x'", "parent = 1", "digest = ''" };
  for (gsize i = 0; i < G_N_ELEMENTS (changes); i++)
    {
      g_autofree char *sql = g_strdup_printf ("UPDATE template_version SET %s", changes[i]);
      g_autofree char *sqlstate = rig_sqlstate (rig_owner (), sql);
      assert_string_equal (sqlstate, "UA003");
    }
  g_autofree char *removed = rig_sqlstate (rig_broker (), "DELETE FROM template_version");
  assert_string_equal (removed, "42501");
  json_auto_t *record = usher_store_get (store, USHER_KIND_TEMPLATE_VERSION, "tiny.1", NULL);
  assert_non_null (record);
  assert_string_equal (usher_json_string (json_object_get (record, "status"), "state"), "draft");
  json_auto_t *why = usher_store_why (store, usher_json_string (record, "id"), NULL);
  assert_int_equal (json_array_size (json_object_get (why, "explanation")), 1);
  assert_int_equal (json_array_size (json_object_get (why, "audit")), 1);
  rig_refused (usher_store_delete (store, &rig_admin, USHER_KIND_TEMPLATE_VERSION, "tiny.1", NULL, &error), USHER_ERROR_REFUSED);
}

static void
publish_roll_back_retire (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  (void) state;
  must_refuse (store, USHER_VERSION_PUBLISH, 1, USHER_ERROR_MISSING, "");
  must_refuse (store, USHER_VERSION_ROLLBACK, 0, USHER_ERROR_MISSING, "");
  assert_int_equal (take_in (store, "a"), 1);
  assert_int_equal (take_in (store, "b"), 2);
  assert_int_equal (take_in (store, "c"), 3);
  must_change (store, USHER_VERSION_PUBLISH, 1, "1");
  must_refuse (store, USHER_VERSION_ROLLBACK, 0, USHER_ERROR_CONFLICT, "first ");
  must_change (store, USHER_VERSION_PUBLISH, 2, "2");
  must_change (store, USHER_VERSION_PUBLISH, 2, "2");
  must_change (store, USHER_VERSION_PUBLISH, 3, "3");
  assert_int_equal (rig_number ("SELECT count(*) FROM template_version WHERE state = 'published' AND version = 3"), 1);
  assert_int_equal (rig_number ("SELECT count(*) FROM template_version WHERE state = 'draft'"), 2);
  must_change (store, USHER_VERSION_RETIRE, 2, "3");
  must_change (store, USHER_VERSION_RETIRE, 2, "3");
  must_refuse (store, USHER_VERSION_RETIRE, 3, USHER_ERROR_CONFLICT, "published ");
  must_refuse (store, USHER_VERSION_PUBLISH, 2, USHER_ERROR_CONFLICT, "retired ");
  must_refuse (store, USHER_VERSION_RETIRE, 9, USHER_ERROR_MISSING, "");
  must_change (store, USHER_VERSION_ROLLBACK, 0, "1");
  must_refuse (store, USHER_VERSION_ROLLBACK, 0, USHER_ERROR_CONFLICT, "first ");
  must_change (store, USHER_VERSION_PUBLISH, 3, "3");
  must_change (store, USHER_VERSION_ROLLBACK, 0, "1");
  json_auto_t *spec = text ("{'version': 2}");
  rig_refused (usher_store_apply (store, &rig_admin, USHER_KIND_TEMPLATE, "tiny", spec, 0, NULL, &error), USHER_ERROR_CONFLICT);
  assert_int_equal (rig_number ("SELECT count(*) FROM audit WHERE action = 'rollback' AND outcome = 'ok'"), 2);
  rig_apply (store, USHER_KIND_TEMPLATE, "tiny", "{'version': 3}"); /* publishing too */
  assert_int_equal (rig_number ("SELECT count(*) FROM template_version WHERE state = 'published' AND version = 3"), 1);
  must_change (store, USHER_VERSION_ROLLBACK, 0, "1");
}

#define POOL(rest) "{'display_name': 'Office', 'template': 'tiny', 'spares': 1, 'maximum': 2, 'naming': 'o-{n}'" rest "}"

static void
who_uses_a_version_keeps_it (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  g_autofree char *template = NULL;
  char host[USHER_ID_SIZE];
  gint64 version = 0;
  (void) state;
  rig_pool (store, 1, 2); /* one vCPU, 256 MiB or so, on "tiny" 1 of the hosts */
  rig_host (store, "kvm1", host);
  assert_int_equal (take_in (store, "a"), 2);
  must_refuse (store, USHER_VERSION_PUBLISH, 2, USHER_ERROR_CONFLICT, "size ");
  rig_apply (store, USHER_KIND_POOL, "office", POOL (", 'vcpus': 2, 'ram_mib': 300, 'template_version': 2"));
  must_refuse (store, USHER_VERSION_RETIRE, 2, USHER_ERROR_CONFLICT, "pool ");
  g_free (rig_sql (rig_super (), "UPDATE host SET templates = '{tiny/1,tiny/2}'"));
  rig_work (store);
  rig_obey (store, host, USHER_SEEN_READY);
  rig_apply (store, USHER_KIND_POOL, "office", POOL (", 'vcpus': 2, 'ram_mib': 300"));
  must_refuse (store, USHER_VERSION_RETIRE, 2, USHER_ERROR_CONFLICT, "desktop ");
  g_free (rig_sql (rig_super (), "DELETE FROM desktop"));
  must_change (store, USHER_VERSION_RETIRE, 2, "1");
  json_auto_t *spec = text (POOL (", 'vcpus': 2, 'ram_mib': 300, 'template_version': 2"));
  rig_refused (usher_store_apply (store, &rig_admin, USHER_KIND_POOL, "office", spec, 0, NULL, &error), USHER_ERROR_CONFLICT);
  rig_good (usher_store_version_unneeded (store, &template, &version, &error));
  assert_null (template);
  g_free (rig_sql (rig_super (), "UPDATE template_version SET since = now() - interval '2 minutes'"));
  rig_good (usher_store_version_unneeded (store, &template, &version, &error));
  assert_string_equal (template, "tiny");
  assert_int_equal (version, 2);
  gint64 size = 0;
  g_autofree char *sha256 = NULL;
  rig_good (usher_store_version_file (store, "tiny", 2, "manifest.json", &size, &sha256, &error));
  assert_string_equal (sha256, SHA);
  rig_good (usher_store_version_emptied (store, "tiny", 2, &error));
  rig_refused (usher_store_version_file (store, "tiny", 2, "manifest.json", &size, &sha256, &error), USHER_ERROR_MISSING);
}

/* "tiny/1:0 tiny/2:1": versions and how many files of each. */
static char *
told (UsherStore *store, const char *host, gint64 *after)
{
  g_autoptr (UsherSyncAnswer) answer = NULL;
  GString *all = g_string_new (NULL);
  rig_good (usher_store_wanted (store, host, NULL, *after, &answer, &error));
  for (guint i = 0; answer != NULL && i < answer->versions->len; i++)
    {
      const UsherWantedVersion *version = answer->versions->pdata[i];
      g_string_append_printf (all, "%s/%d:%u ", version->template_name, (int) version->template_version, version->files->len);
    }
  if (answer == NULL)
    g_string_assign (all, "nothing new");
  else
    *after = answer->version;
  return g_string_free (all, FALSE);
}

static void
hosts_are_told_what_to_have (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  char host[USHER_ID_SIZE];
  gint64 after = 0;
  (void) state;
  rig_host (store, "kvm1", host);
  g_autofree char *none = told (store, host, &after);
  assert_string_equal (none, "");
  rig_pool (store, 0, 2);
  g_autofree char *first = told (store, host, &after);
  assert_string_equal (first, "tiny/1:0 ");
  assert_int_equal (take_in (store, "a"), 2);
  g_autofree char *draft = told (store, host, &after);
  assert_string_equal (draft, "tiny/1:0 ");
  rig_apply (store, USHER_KIND_POOL, "office", POOL (", 'vcpus': 2, 'ram_mib': 300"));
  must_change (store, USHER_VERSION_PUBLISH, 2, "2");
  g_autofree char *published = told (store, host, &after);
  assert_string_equal (published, "tiny/2:1 ");
  g_autofree char *quiet = told (store, host, &after);
  assert_string_equal (quiet, "nothing new");
  rig_apply (store, USHER_KIND_POOL, "office", POOL (", 'vcpus': 2, 'ram_mib': 300, 'template_version': 1"));
  g_autofree char *pinned = told (store, host, &after);
  assert_string_equal (pinned, "tiny/1:0 ");
}

/* Watchers of a version hear of the hosts that have it. */
static void
a_version_says_which_hosts_have_it (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  char host[USHER_ID_SIZE];
  (void) state;
  rig_host (store, "kvm1", host);
  take_in (store, "a");
  json_auto_t *before = usher_store_list (store, USHER_KIND_TEMPLATE_VERSION, 0, 0, NULL);
  gint64 after = usher_json_int (before, "resource_version");
  UsherSyncRequest *report = rig_report (store);
  g_strfreev (report->templates);
  report->templates = g_strsplit ("tiny/1 tiny/2", " ", -1);
  rig_good (usher_store_seen (store, host, report, &error));
  usher_sync_request_free (report);
  json_auto_t *changes = NULL;
  rig_good (usher_store_changes (store, USHER_KIND_TEMPLATE_VERSION, after, &changes, &error));
  json_t *status = json_object_get (json_array_get (json_object_get (changes, "items"), 0), "status");
  assert_string_equal (json_string_value (json_array_get (json_object_get (status, "hosts"), 0)), "kvm1");
}

static const struct CMUnitTest version_tests[] = {
  cmocka_unit_test (an_upload_is_found_again),
  cmocka_unit_test (numbers_are_given_once),
  cmocka_unit_test (a_version_stands),
  cmocka_unit_test (publish_roll_back_retire),
  cmocka_unit_test (who_uses_a_version_keeps_it),
  cmocka_unit_test (hosts_are_told_what_to_have),
  cmocka_unit_test (a_version_says_which_hosts_have_it),
};

int
run_version_tests (const char *name)
{
  if (!g_str_equal (name, "--list"))
    return cmocka_run_group_tests (version_tests, NULL, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (version_tests); i++)
    puts (version_tests[i].name);
  return 0;
}
