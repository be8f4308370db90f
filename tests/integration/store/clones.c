/* Kinds of clones and of pools: what hosts are told, and what follows from what they say. */
#include <stdio.h>

#include "tests/integration/store/rig.h"

/* "tiny/1 1x256; …": the parents that the host is to keep. */
static char *
parents_of (const UsherSyncAnswer *answer)
{
  GString *text = g_string_new (NULL);
  for (guint i = 0; i < answer->parents->len; i++)
    {
      const UsherParentKey *key = answer->parents->pdata[i];
      g_string_append_printf (text, "%s/%d %dx%d; ", key->template_name, (int) key->template_version, (int) key->vcpus,
                              (int) key->ram_mib);
    }
  return g_string_free (text, FALSE);
}

/* The host's answer after `*after`, which must be there; moves *after on. */
static UsherSyncAnswer *
answer_after (UsherStore *store, const char *host, gint64 *after)
{
  UsherSyncAnswer *answer = NULL;
  rig_good (usher_store_wanted (store, host, NULL, *after, &answer, &error));
  assert_non_null (answer);
  *after = answer->version;
  return answer;
}

static void
assert_parents (UsherStore *store, const char *host, gint64 *after, const char *wanted)
{
  g_autoptr (UsherSyncAnswer) answer = answer_after (store, host, after);
  g_autofree char *text = parents_of (answer);
  assert_string_equal (text, wanted);
}

static void
hosts_are_told_of_parents_at_once (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  char host[USHER_ID_SIZE];
  gint64 after = 0;
  gboolean pending = FALSE;
  (void) state;
  rig_host (store, "kvm1", host);
  assert_parents (store, host, &after, "");
  rig_pool (store, 0, 3); /* nobody has anything there yet, but somebody may come */
  assert_parents (store, host, &after, "tiny/1 1x256; ");
  g_autoptr (UsherSyncAnswer) same = NULL;
  rig_good (usher_store_wanted (store, host, NULL, after, &same, &error));
  assert_null (same);
  rig_apply (store, USHER_KIND_TEMPLATE, "tiny", "{'version': 2}");
  assert_parents (store, host, &after, "tiny/2 1x256; ");
  rig_pool_with (store, 1, 3, ", 'clone': 'linked'");
  assert_parents (store, host, &after, "");
  rig_pool_with (store, 1, 3, ", 'template_version': 1");
  assert_parents (store, host, &after, "tiny/1 1x256; ");
  rig_apply (store, USHER_KIND_HOST, "kvm1", "{'mode': 'drain'}");
  assert_parents (store, host, &after, "");
  rig_apply (store, USHER_KIND_HOST, "kvm1", "{'mode': 'active'}");
  assert_parents (store, host, &after, "tiny/1 1x256; ");
  rig_good (usher_store_delete (store, &rig_admin, USHER_KIND_POOL, "office", &pending, &error));
  assert_parents (store, host, &after, "");
}

static void
a_desktop_is_told_how_it_is_made (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  char host[USHER_ID_SIZE];
  gint64 after = 0;
  (void) state;
  rig_pool_with (store, 1, 3, ", 'assignment': 'fresh-system', 'data_gib': 3");
  rig_host (store, "kvm1", host);
  rig_work (store);
  g_autoptr (UsherSyncAnswer) answer = answer_after (store, host, &after);
  const UsherWantedDesktop *wanted = answer->desktops->pdata[0];
  assert_int_equal (wanted->clone, USHER_CLONE_INSTANT);
  assert_int_equal (wanted->data_gib, 3);
  assert_int_equal (wanted->system_revision, 0);

  /* A version published meanwhile: the one being made is still forked from its own. */
  rig_apply (store, USHER_KIND_TEMPLATE, "tiny", "{'version': 2}");
  assert_parents (store, host, &after, "tiny/1 1x256; tiny/2 1x256; ");
}

static void
what_a_host_says_of_clones_is_shown (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  char host[USHER_ID_SIZE];
  gint64 after = 0;
  (void) state;
  rig_pool (store, 1, 3);
  rig_host (store, "kvm1", host);
  rig_work (store);
  g_autoptr (UsherSyncAnswer) answer = answer_after (store, host, &after);
  const UsherWantedDesktop *wanted = answer->desktops->pdata[0];
  g_autoptr (UsherSyncRequest) request = rig_report (store);
  rig_report_add (request, wanted->id, USHER_SEEN_READY, "");
  UsherSeenDesktop *seen = request->desktops->pdata[0];
  seen->clone_reason = g_strdup ("the template has no identity program");
  UsherSeenParent *parent = g_new0 (UsherSeenParent, 1);
  parent->key = (UsherParentKey){ g_strdup ("tiny"), 1, 1, 256 };
  parent->state = USHER_PARENT_BUILDING;
  parent->reason = g_strdup ("");
  g_ptr_array_add (request->parents, parent);
  UsherSeenFetch *fetch = g_new0 (UsherSeenFetch, 1);
  *fetch = (UsherSeenFetch){ g_strdup ("tiny"), 2, 40, 100, g_strdup ("") };
  g_ptr_array_add (request->fetches, fetch);
  rig_good (usher_store_seen (store, host, request, &error));

  json_auto_t *desktop = usher_store_get (store, USHER_KIND_DESKTOP, "office-1", NULL);
  const json_t *status = json_object_get (desktop, "status");
  assert_string_equal (usher_json_string (status, "clone"), "linked");
  assert_string_equal (usher_json_string (status, "clone_reason"), "the template has no identity program");
  assert_string_equal (usher_json_string (json_object_get (desktop, "spec"), "clone"), "instant");

  gint64 version = rig_number ("SELECT resource_version FROM host");
  rig_good (usher_store_seen (store, host, request, &error));
  assert_int_equal (rig_number ("SELECT resource_version FROM host"), version); /* no news */
  fetch->received = 41;
  rig_good (usher_store_seen (store, host, request, &error));
  assert_int_equal (rig_number ("SELECT resource_version FROM host"), version); /* not worth telling */
  rig_sql (rig_super (), "UPDATE host SET parents = jsonb_set(parents, '{0,since}', to_jsonb(usher_time(now() - interval '9 s')))");
  parent->state = USHER_PARENT_READY;
  rig_good (usher_store_seen (store, host, request, &error));
  assert_true (rig_number ("SELECT resource_version FROM host") > version);
  json_auto_t *record = usher_store_get (store, USHER_KIND_HOST, "kvm1", NULL);
  const json_t *shown = json_array_get (json_object_get (json_object_get (record, "status"), "parents"), 0);
  assert_string_equal (usher_json_string (shown, "state"), "ready");
  assert_true (usher_json_int (shown, "took_s") >= 9);
  assert_int_equal (usher_json_int (json_array_get (json_object_get (json_object_get (record, "status"), "fetches"), 0), "received"),
                    41);
}

/* ---- leaving ---- */

static const UsherActor alice = { "alice", "192.0.2.7", NULL };

static void
sign_out (UsherStore *store, const char *person)
{
  g_autofree char *sql = g_strdup_printf ("SELECT id FROM web_session WHERE person = '%s' AND revoked_at IS NULL LIMIT 1", person);
  g_autofree char *session = rig_sql (rig_super (), sql);
  rig_good (usher_store_sign_out (store, &alice, session, &error));
}

static void
do_sql (const char *sql)
{
  g_free (rig_sql (rig_super (), sql));
}

static UsherConnect *
connect_alice (UsherStore *store, const char *person)
{
  UsherConnect *connect = NULL;
  rig_good (connect = usher_store_connect (store, &alice, person, "office", "browser", NULL, &error));
  return connect;
}

/* alice has a ready desktop of such a pool, and a session of it that was redeemed and is active. */
static void
alice_works (UsherStore *store, const char *more, char person[USHER_ID_SIZE], char host[USHER_ID_SIZE])
{
  char session[USHER_ID_SIZE];
  const UsherActor gateway = { "gateway gw1", NULL, NULL };
  rig_pool_with (store, 1, 3, more);
  rig_host (store, "kvm1", host);
  rig_person (store, "alice", "staff", person);
  rig_work (store);
  rig_obey (store, host, USHER_SEEN_READY);
  g_autoptr (UsherConnect) connect = connect_alice (store, person);
  assert_true (connect->ready);
  UsherRedeemRequest request = { connect->ticket, (char *) "gw1", (char *) "203.0.113.9", (char *) "websocket" };
  UsherSessionEvent active = { USHER_SESSION_EVENT_ACTIVE, (char *) "gw1", NULL, 0, 0 };
  rig_good (usher_store_redeem (store, &request, &gateway, session, &error));
  rig_good (usher_store_session_event (store, &gateway, session, &active, &error));
  rig_work (store);
  rig_obey (store, host, USHER_SEEN_READY);
}

static guint
leave (UsherStore *store)
{
  guint again_s = 0, ended;
  rig_good (usher_work_leave (store, usher_leaving_plan, &again_s, &error));
  rig_good (usher_work_end_sessions (store, &ended, &error));
  return again_s;
}

#define OWNED "SELECT count(*) FROM desktop WHERE owner IS NOT NULL AND state NOT IN ('draining', 'gone')"

static void
a_floating_desktop_is_wiped_at_sign_out (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  char person[USHER_ID_SIZE], host[USHER_ID_SIZE];
  (void) state;
  alice_works (store, ", 'assignment': 'floating'", person, host);
  rig_person (store, "alice", "staff", NULL); /* signed in a second time */
  sign_out (store, person);
  assert_int_equal (rig_number (OWNED), 1);
  sign_out (store, person); /* the last one: at once, though a session is open */
  assert_int_equal (rig_number (OWNED), 0);
  leave (store);
  assert_int_equal (rig_number ("SELECT count(*) FROM session WHERE state = 'ended'"), 1);
  assert_int_equal (rig_number ("SELECT count(*) FROM audit WHERE action = 'wipe' AND actor = 'alice'"), 1);
  rig_work (store);
  rig_obey (store, host, USHER_SEEN_READY);
  assert_int_equal (rig_number ("SELECT count(*) FROM desktop"), 1); /* the spare */

  rig_person (store, "alice", "staff", NULL);
  g_autoptr (UsherConnect) again = connect_alice (store, person);
  assert_true (again->ready);
  assert_int_equal (rig_number ("SELECT count(*) FROM desktop WHERE owner IS NOT NULL AND name = 'office-2'"), 1);
}

static void
a_floating_desktop_lingers_when_nobody_signed_out (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  char person[USHER_ID_SIZE], host[USHER_ID_SIZE];
  (void) state;
  alice_works (store, ", 'assignment': 'floating', 'linger_s': 60", person, host);
  leave (store);
  assert_int_equal (rig_number (OWNED), 1); /* signed in */
  do_sql ("UPDATE web_session SET expires_at = now() - interval '1 hour'");
  do_sql ("UPDATE desktop SET since = now() - interval '2 hours'");
  assert_int_equal (leave (store), 0);
  assert_int_equal (rig_number (OWNED), 1); /* in use, so it goes on */
  do_sql ("UPDATE session SET state = 'disconnected', since = now() - interval '50 s'");
  assert_in_range (leave (store), 9, 10);
  assert_int_equal (rig_number (OWNED), 1);
  do_sql ("UPDATE session SET since = now() - interval '61 s'");
  leave (store);
  assert_int_equal (rig_number (OWNED), 0);
}

static void
a_revoked_sign_in_is_no_sign_out (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  char person[USHER_ID_SIZE], host[USHER_ID_SIZE];
  (void) state;
  alice_works (store, ", 'assignment': 'floating'", person, host);
  rig_good (usher_store_sign_out_all (store, &rig_admin, "alice", &error));
  leave (store);
  assert_int_equal (rig_number (OWNED), 1);
}

static void
a_dedicated_desktop_stays (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  char person[USHER_ID_SIZE], host[USHER_ID_SIZE];
  (void) state;
  alice_works (store, "", person, host);
  rig_pool_with (store, 1, 3, ", 'assignment': 'floating'"); /* what is hers was promised to be kept */
  sign_out (store, person);
  leave (store);
  assert_int_equal (rig_number (OWNED), 1);
  /* The spare was made as a dedicated one: another takes its place. */
  rig_work (store);
  rig_work (store);
  rig_obey (store, host, USHER_SEEN_READY);
  rig_work (store);
  rig_obey (store, host, USHER_SEEN_READY);
  assert_int_equal (rig_number ("SELECT count(*) FROM desktop WHERE owner IS NULL AND assignment = 'floating'"), 1);
  assert_int_equal (rig_number ("SELECT count(*) FROM desktop WHERE owner IS NULL AND assignment <> 'floating'"), 0);
}

static void
a_fresh_system_keeps_the_desktop (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  char person[USHER_ID_SIZE], host[USHER_ID_SIZE];
  gint64 after = 0;
  (void) state;
  alice_works (store, ", 'assignment': 'fresh-system'", person, host);
  rig_apply (store, USHER_KIND_TEMPLATE, "tiny", "{'version': 2}");
  sign_out (store, person);
  leave (store);
  assert_int_equal (rig_number (OWNED " AND system_revision = 1 AND template_version = 2"), 1);
  assert_int_equal (rig_number ("SELECT count(*) FROM session WHERE state = 'ended'"), 1);
  rig_person (store, "alice", "staff", NULL);
  sign_out (store, person);
  leave (store);
  assert_int_equal (rig_number (OWNED " AND system_revision = 1"), 1); /* nobody used it since */

  g_autoptr (UsherSyncAnswer) answer = answer_after (store, host, &after);
  const UsherWantedDesktop *wanted = answer->desktops->pdata[0];
  assert_int_equal (wanted->system_revision, 1);
  assert_int_equal (wanted->data_gib, 10);
  rig_person (store, "alice", "staff", NULL);
  g_autoptr (UsherConnect) early = connect_alice (store, person);
  assert_false (early->ready);
  assert_non_null (strstr (usher_json_string (early->desktop, "reason"), "fresh system"));
  rig_obey (store, host, USHER_SEEN_READY);
  g_autoptr (UsherConnect) again = connect_alice (store, person);
  assert_true (again->ready);
  assert_string_equal (usher_json_string (again->desktop, "name"), "office-1");
}

static void
an_administrator_asks_for_a_fresh_system (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  char person[USHER_ID_SIZE], host[USHER_ID_SIZE];
  json_auto_t *record = NULL;
  (void) state;
  alice_works (store, ", 'assignment': 'fresh-system'", person, host);
  rig_good (record = usher_store_refresh (store, &rig_admin, "office-1", &error));
  assert_int_equal (usher_json_int (json_object_get (record, "spec"), "system_revision"), 1);
  rig_refused (usher_store_refresh (store, &rig_admin, "nothing", &error), USHER_ERROR_MISSING);
  do_sql ("UPDATE desktop SET assignment = 'dedicated'");
  rig_refused (usher_store_refresh (store, &rig_admin, "office-1", &error), USHER_ERROR_CONFLICT);
}

/* ---- spares and estimates ---- */

static void
spares_follow_a_published_version (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  char host[USHER_ID_SIZE];
  (void) state;
  rig_pool (store, 2, 3);
  rig_host (store, "kvm1", host);
  do_sql ("UPDATE host SET templates = '{tiny/1,tiny/2}'");
  rig_work (store);
  rig_obey (store, host, USHER_SEEN_READY);
  rig_apply (store, USHER_KIND_TEMPLATE, "tiny", "{'version': 2}");
  for (int i = 0; i < 6; i++)
    {
      do_sql ("UPDATE host SET templates = '{tiny/1,tiny/2}'");
      rig_work (store);
      assert_true (rig_number ("SELECT count(*) FROM desktop WHERE state = 'spare'") >= 1); /* never without one */
      assert_true (rig_number ("SELECT count(*) FROM desktop WHERE state NOT IN ('draining', 'gone')") <= 3);
      rig_obey (store, host, USHER_SEEN_READY);
    }
  assert_int_equal (rig_number ("SELECT count(*) FROM desktop WHERE state = 'spare' AND template_version = 2"), 2);
  assert_int_equal (rig_number ("SELECT count(*) FROM desktop"), 2);
}

static void
report_parent (UsherStore *store, const char *host, UsherParentState parent_state, const char *reason)
{
  g_autoptr (UsherSyncRequest) request = rig_report (store);
  UsherSeenParent *parent = g_new0 (UsherSeenParent, 1);
  parent->key = (UsherParentKey){ g_strdup ("tiny"), 1, 1, 256 };
  parent->state = parent_state;
  parent->reason = g_strdup (reason);
  g_ptr_array_add (request->parents, parent);
  rig_good (usher_store_seen (store, host, request, &error));
}

static gint64
pool_eta (UsherStore *store, const char *person)
{
  json_auto_t *pools = usher_store_pools_of (store, person, NULL);
  return usher_json_int (json_array_get (json_object_get (pools, "items"), 0), "eta_s");
}

static void
estimates_know_the_parent (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  char person[USHER_ID_SIZE], host[USHER_ID_SIZE];
  (void) state;
  rig_pool (store, 0, 3);
  rig_host (store, "kvm1", host);
  rig_person (store, "alice", "staff", person);
  do_sql ("UPDATE pool SET made_s = '{40,40,40}', made_instant_s = '{1,1,1}'");
  assert_int_equal (pool_eta (store, person), 45); /* the parent first */
  report_parent (store, host, USHER_PARENT_BUILDING, "");
  do_sql ("UPDATE host SET parents = jsonb_set(parents, '{0,since}', to_jsonb(usher_time(now() - interval '33 s')))");
  assert_in_range (pool_eta (store, person), 7, 8);
  report_parent (store, host, USHER_PARENT_READY, "");
  assert_int_equal (pool_eta (store, person), 1);
  g_autoptr (UsherConnect) connect = connect_alice (store, person);
  assert_int_equal (connect->eta_s, 1);
  assert_int_equal (connect->retry_after_ms, 100);
  report_parent (store, host, USHER_PARENT_UNABLE, "it has no guest agent");
  assert_int_equal (pool_eta (store, person), 40);
}

static const struct CMUnitTest clone_tests[] = {
  cmocka_unit_test (a_floating_desktop_is_wiped_at_sign_out),
  cmocka_unit_test (a_floating_desktop_lingers_when_nobody_signed_out),
  cmocka_unit_test (a_revoked_sign_in_is_no_sign_out),
  cmocka_unit_test (a_dedicated_desktop_stays),
  cmocka_unit_test (a_fresh_system_keeps_the_desktop),
  cmocka_unit_test (an_administrator_asks_for_a_fresh_system),
  cmocka_unit_test (spares_follow_a_published_version),
  cmocka_unit_test (estimates_know_the_parent),
  cmocka_unit_test (hosts_are_told_of_parents_at_once),
  cmocka_unit_test (a_desktop_is_told_how_it_is_made),
  cmocka_unit_test (what_a_host_says_of_clones_is_shown),
};

int
run_clone_tests (const char *name)
{
  if (!g_str_equal (name, "--list"))
    return cmocka_run_group_tests (clone_tests, NULL, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (clone_tests); i++)
    puts (clone_tests[i].name);
  return 0;
}
