/* From a pool to a session and back: what people, hosts and gateways do one after the other. */
#include <stdio.h>

#include "tests/integration/store/rig.h"

static const UsherActor alice = { "alice", "192.0.2.7", "request-1" };

static const char *
text (const json_t *object, const char *key)
{
  return usher_json_string (object, key);
}

/* The one desktop's column. */
static char *
desktop (const char *column)
{
  g_autofree char *sql = g_strdup_printf ("SELECT %s FROM desktop", column);
  return rig_sql (rig_super (), sql);
}

#define assert_desktop(column, value)                                                                                  \
  do                                                                                                                   \
    {                                                                                                                  \
      g_autofree char *cell_ = desktop (column);                                                                       \
      assert_string_equal (cell_, value);                                                                              \
  } while (0)

static UsherConnect *
connect_alice (UsherStore *store, const char *person)
{
  GError *error = NULL;
  UsherConnect *connect = usher_store_connect (store, &alice, person, "office", "browser", NULL, &error);
  if (connect == NULL)
    fail_msg ("connect: %s", error->message);
  return connect;
}

static void
a_person_connects_and_a_gateway_redeems (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  char person[USHER_ID_SIZE], host[USHER_ID_SIZE], session[USHER_ID_SIZE];
  const UsherActor gateway = { "gateway gw1", NULL, NULL };
  (void) state;
  rig_pool (store, 1, 3);
  rig_host (store, "kvm1", host);
  rig_person (store, "alice", "staff", person);
  rig_work (store);
  assert_desktop ("state", "provisioning");
  assert_desktop ("name", "office-1");
  rig_obey (store, host, USHER_SEEN_STARTING);
  assert_desktop ("state", "provisioning");
  rig_obey (store, host, USHER_SEEN_READY);
  assert_desktop ("state", "spare");

  json_auto_t *pools = usher_store_pools_of (store, person, NULL);
  const json_t *pool = json_array_get (json_object_get (pools, "items"), 0);
  assert_string_equal (text (pool, "state"), "ready");
  assert_true (json_is_null (json_object_get (pool, "desktop")));

  g_autoptr (UsherConnect) connect = connect_alice (store, person);
  assert_true (connect->ready);
  assert_string_equal (text (connect->desktop, "state"), "assigned");
  assert_true (usher_token_is_valid (connect->ticket));
  g_autofree char *stored = rig_sql (rig_super (), "SELECT hash FROM ticket");
  assert_string_not_equal (stored, connect->ticket);

  UsherRedeemRequest request = { connect->ticket, (char *) "gw1", (char *) "203.0.113.9", (char *) "websocket" };
  rig_good (usher_store_redeem (store, &request, &gateway, session, &error));
  assert_string_equal (session, connect->session);
  rig_refused (usher_store_redeem (store, &request, &gateway, session, &error), USHER_ERROR_UNAUTHENTICATED);

  g_autoptr (UsherSessionConsole) before = usher_store_session_console (store, session, NULL);
  assert_false (before->in_force); /* the host has not heard of the secret */
  assert_string_equal (before->door, "unix:/run/door.sock");
  assert_string_equal (before->host, host);
  g_autoptr (UsherSyncAnswer) answer = NULL;
  rig_good (usher_store_wanted (store, host, NULL, 0, &answer, &error));
  const UsherWantedDesktop *wanted = answer->desktops->pdata[0];
  assert_string_equal (wanted->console_secret, usher_secret_peek (before->secret));
  assert_int_equal (wanted->console_revision, 1);
  g_autofree char *sealed = rig_sql (rig_super (), "SELECT encode(console_secret, 'escape') FROM desktop");
  assert_null (strstr (sealed, wanted->console_secret));
  rig_obey (store, host, USHER_SEEN_READY);
  g_autoptr (UsherSessionConsole) after = usher_store_session_console (store, session, NULL);
  assert_true (after->in_force);
  assert_string_equal (after->user, "alice");

  UsherSessionEvent active = { USHER_SESSION_EVENT_ACTIVE, (char *) "gw1", NULL, 0, 0 };
  UsherSessionEvent gone = { USHER_SESSION_EVENT_DISCONNECTED, (char *) "gw1", (char *) "client closed", 500, 60 };
  rig_good (usher_store_session_event (store, &gateway, session, &active, &error));
  rig_good (usher_store_session_event (store, &gateway, session, &active, &error));
  rig_good (usher_store_session_event (store, &gateway, session, &gone, &error));
  rig_refused (usher_store_session_event (store, &gateway, person, &gone, &error), USHER_ERROR_MISSING);
  json_auto_t *record = usher_store_get (store, USHER_KIND_SESSION, session, NULL);
  assert_string_equal (text (json_object_get (record, "status"), "state"), "disconnected");
  assert_int_equal (usher_json_int (json_object_get (record, "status"), "bytes_to_client"), 500);
  json_auto_t *why = usher_store_why (store, session, NULL);
  assert_int_equal (json_array_size (json_object_get (why, "explanation")), 3);
  assert_true (json_array_size (json_object_get (why, "audit")) >= 3);
}

static void
the_same_desktop_tomorrow (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  char person[USHER_ID_SIZE], host[USHER_ID_SIZE];
  (void) state;
  rig_pool (store, 1, 3);
  rig_host (store, "kvm1", host);
  rig_person (store, "alice", "staff", person);
  rig_work (store);
  rig_obey (store, host, USHER_SEEN_READY);
  g_autoptr (UsherConnect) one = connect_alice (store, person), two = connect_alice (store, person);
  assert_string_equal (text (one->desktop, "id"), text (two->desktop, "id"));
  assert_string_not_equal (one->ticket, two->ticket);
  rig_work (store); /* the refill */
  assert_int_equal (rig_number ("SELECT count(*) FROM desktop WHERE owner IS NULL"), 1);

  json_auto_t *restarted = NULL;
  rig_good (restarted = usher_store_restart (store, &alice, person, text (one->desktop, "id"), &error));
  assert_true (usher_json_int (restarted, "eta_s") > 0);
  g_autoptr (UsherConnect) meanwhile = connect_alice (store, person);
  assert_false (meanwhile->ready); /* not before the host has restarted it */
  rig_obey (store, host, USHER_SEEN_READY);
  g_autoptr (UsherConnect) again = connect_alice (store, person);
  assert_true (again->ready);

  char other[USHER_ID_SIZE];
  rig_person (store, "mallory", "staff", other);
  rig_refused (usher_store_restart (store, &alice, other, text (one->desktop, "id"), &error), USHER_ERROR_MISSING);
}

static void
who_may_not_gets_a_reason (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  char person[USHER_ID_SIZE], host[USHER_ID_SIZE];
  const UsherActor carol = { "carol", NULL, NULL };
  json_auto_t *reasons = NULL;
  (void) state;
  rig_pool (store, 1, 3);
  rig_host (store, "kvm1", host);
  rig_person (store, "carol", "guests", person);
  json_auto_t *pools = usher_store_pools_of (store, person, NULL);
  assert_int_equal (json_array_size (json_object_get (pools, "items")), 0);
  assert_string_equal (text (json_array_get (json_object_get (pools, "reasons"), 0), "rule"), "entitlement");
  rig_refused (usher_store_connect (store, &carol, person, "office", "browser", &reasons, &error), USHER_ERROR_REFUSED);
  assert_string_equal (text (json_array_get (reasons, 0), "rule"), "entitlement");
  rig_refused (usher_store_connect (store, &carol, person, "nowhere", "browser", NULL, &error), USHER_ERROR_MISSING);
  assert_int_equal (
      rig_number ("SELECT count(*) FROM audit WHERE action = 'connect' AND actor = 'carol' AND outcome = 'refused'"),
      1);
  rig_apply (store, USHER_KIND_ENTITLEMENT, "carol", "{'pool': 'office', 'user': 'CAROL'}");
  rig_apply (store, USHER_KIND_ENTITLEMENT, "dn", "{'pool': 'office', 'group': 'CN=Guests, OU=groups, DC=example'}");
  json_auto_t *now = usher_store_pools_of (store, person, NULL);
  assert_int_equal (json_array_size (json_object_get (now, "items")), 1);
}

static void
without_a_spare_one_is_made (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  char person[USHER_ID_SIZE], second[USHER_ID_SIZE], host[USHER_ID_SIZE];
  const UsherActor bob = { "bob", NULL, NULL };
  json_auto_t *reasons = NULL;
  (void) state;
  rig_pool (store, 0, 1);
  rig_host (store, "kvm1", host);
  rig_person (store, "alice", "staff", person);
  rig_person (store, "bob", "staff", second);
  g_autoptr (UsherConnect) early = connect_alice (store, person);
  assert_false (early->ready);
  assert_true (early->eta_s > 0 && early->retry_after_ms >= 500);
  assert_string_equal (text (early->desktop, "state"), "planned");
  rig_refused (usher_store_connect (store, &bob, second, "office", "browser", &reasons, &error), USHER_ERROR_EXHAUSTED);
  assert_string_equal (text (json_array_get (reasons, 0), "rule"), "maximum");
  rig_work (store);
  rig_obey (store, host, USHER_SEEN_STARTING);
  json_auto_t *own = NULL, *same = NULL, *fresh = NULL;
  rig_good (usher_store_desktops_of (store, person, 0, &own, &error));
  assert_string_equal (text (json_array_get (json_object_get (own, "items"), 0), "state"), "provisioning");
  rig_good (usher_store_desktops_of (store, person, usher_json_int (own, "resource_version"), &same, &error));
  assert_null (same);
  rig_obey (store, host, USHER_SEEN_READY);
  rig_good (usher_store_desktops_of (store, person, usher_json_int (own, "resource_version"), &fresh, &error));
  assert_string_equal (text (json_array_get (json_object_get (fresh, "items"), 0), "state"), "assigned");
  g_autoptr (UsherConnect) ready = connect_alice (store, person);
  assert_true (ready->ready);
  assert_int_equal (rig_number ("SELECT cardinality(made_instant_s) FROM pool"), 1);
}

static void
one_being_made_is_taken_before_another_is_planned (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  char person[USHER_ID_SIZE], host[USHER_ID_SIZE];
  (void) state;
  rig_pool (store, 1, 3);
  rig_host (store, "kvm1", host);
  rig_person (store, "alice", "staff", person);
  rig_work (store);
  g_autoptr (UsherConnect) early = connect_alice (store, person);
  assert_string_equal (text (early->desktop, "name"), "office-1");
  assert_int_equal (rig_number ("SELECT count(*) FROM desktop"), 1);
  rig_obey (store, host, USHER_SEEN_READY);
  assert_desktop ("state", "assigned");
}

static void
without_a_host_it_says_why (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  char person[USHER_ID_SIZE], host[USHER_ID_SIZE];
  (void) state;
  rig_pool (store, 1, 3);
  rig_person (store, "alice", "staff", person);
  rig_work (store);
  assert_desktop ("state || ': ' || reason", "planned: no host can take it: there is no host yet");
  rig_host (store, "kvm1", host);
  g_free (rig_sql (rig_super (), "UPDATE host SET memory_free_mib = 100"));
  rig_work (store);
  g_autofree char *reason = desktop ("reason"), *id = desktop ("id");
  assert_non_null (strstr (reason, "MiB short"));
  json_auto_t *why = usher_store_why (store, id, NULL);
  const json_t *explanation = json_object_get (why, "explanation");
  assert_string_equal (text (json_array_get (explanation, json_array_size (explanation) - 1), "rule"), "memory");
  g_free (
      rig_sql (rig_super (), "UPDATE host SET memory_free_mib = 4000000, last_seen = now() - interval '31 seconds'"));
  rig_work (store);
  g_autofree char *silent = desktop ("reason");
  assert_non_null (strstr (silent, "unknown"));
  json_auto_t *pools = usher_store_pools_of (store, person, NULL), *reasons = NULL;
  assert_string_equal (text (json_array_get (json_object_get (pools, "items"), 0), "state"), "unavailable");
  rig_refused (usher_store_connect (store, &alice, person, "office", "browser", &reasons, &error),
               USHER_ERROR_EXHAUSTED);
  assert_string_equal (text (json_array_get (reasons, 0), "rule"), "silent");
  g_free (rig_sql (rig_super (), "UPDATE host SET last_seen = now()"));
  rig_work (store);
  assert_desktop ("state", "provisioning");
}

static void
a_silent_host_is_unknown_not_dead (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  char person[USHER_ID_SIZE], host[USHER_ID_SIZE];
  (void) state;
  rig_pool (store, 1, 3);
  rig_host (store, "kvm1", host);
  rig_person (store, "alice", "staff", person);
  rig_work (store);
  rig_obey (store, host, USHER_SEEN_READY);
  usher_connect_free (connect_alice (store, person));
  g_free (rig_sql (rig_super (), "UPDATE host SET last_seen = now() - interval '31 seconds'"));
  rig_good (usher_work_mark_silent (store, &error));
  rig_work (store);
  rig_refused (usher_store_connect (store, &alice, person, "office", "browser", NULL, &error), USHER_ERROR_UNAVAILABLE);
  assert_int_equal (rig_number ("SELECT count(*) FROM desktop WHERE state = 'assigned'"), 1); /* nothing irreversible */
  json_auto_t *record = usher_store_get (store, USHER_KIND_HOST, "kvm1", NULL);
  assert_string_equal (text (json_object_get (record, "status"), "state"), "unknown");
  rig_obey (store, host, USHER_SEEN_READY);
  g_autoptr (UsherConnect) again = connect_alice (store, person);
  assert_true (again->ready);
}

static void
what_cannot_be_made_is_replaced_slowly (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  char person[USHER_ID_SIZE], host[USHER_ID_SIZE];
  json_auto_t *reasons = NULL;
  guint again_s = 0;
  (void) state;
  rig_pool (store, 1, 3);
  rig_host (store, "kvm1", host);
  rig_person (store, "alice", "staff", person);
  rig_work (store);
  g_autofree char *id = desktop ("id");
  g_autoptr (UsherSyncRequest) report = rig_report (store);
  rig_report_add (report, id, USHER_SEEN_FAILED, "disk.qcow2: No space left on device");
  rig_good (usher_store_seen (store, host, report, &error));
  rig_good (usher_store_seen (store, host, report, &error)); /* said again: still one failure */
  assert_desktop ("state || ': ' || reason", "failed: disk.qcow2: No space left on device");
  assert_int_equal (rig_number ("SELECT failures FROM pool"), 1);
  g_auto (GStrv) pools = usher_work_list_pools (store, NULL);
  rig_good (usher_work_on_pool (store, pools[0], usher_pool_plan, &again_s, &error));
  assert_in_range (again_s, 1, 5);
  assert_desktop ("state", "failed"); /* to be looked at until the next is tried */
  rig_refused (usher_store_connect (store, &alice, person, "office", "browser", &reasons, &error),
               USHER_ERROR_EXHAUSTED);
  assert_string_equal (text (json_array_get (reasons, 0), "rule"), "back-off");
  assert_non_null (strstr (text (json_array_get (reasons, 0), "message"), "No space left"));
  g_free (rig_sql (rig_super (), "UPDATE pool SET failed_at = failed_at - interval '6 seconds'"));
  rig_work (store);
  assert_int_equal (rig_number ("SELECT count(*) FROM desktop WHERE state = 'draining'"), 1);
  rig_obey (store, host, USHER_SEEN_READY); /* the failed one is gone, the new one answers */
  assert_desktop ("state", "spare");
  assert_int_equal (rig_number ("SELECT failures FROM pool"), 0);
}

/* A desktop that was somebody's and fails holds work: it is never replaced by itself. */
static void
a_failed_desktop_with_work_stays (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  char person[USHER_ID_SIZE], host[USHER_ID_SIZE];
  (void) state;
  rig_pool (store, 0, 3);
  rig_host (store, "kvm1", host);
  rig_person (store, "alice", "staff", person);
  usher_connect_free (connect_alice (store, person));
  rig_work (store);
  rig_obey (store, host, USHER_SEEN_READY);
  rig_obey (store, host, USHER_SEEN_FAILED);
  assert_desktop ("state", "failed");
  rig_work (store);
  assert_desktop ("state", "failed");
  rig_refused (usher_store_connect (store, &alice, person, "office", "browser", NULL, &error), USHER_ERROR_EXHAUSTED);
  rig_obey (store, host, USHER_SEEN_READY);
  assert_desktop ("state", "assigned");
}

static void
a_row_outlives_its_domain_and_orphans_end (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  char host[USHER_ID_SIZE];
  gboolean pending = FALSE;
  g_autofree char *orphan = usher_id_new ();
  (void) state;
  rig_pool (store, 1, 3);
  rig_host (store, "kvm1", host);
  rig_work (store);
  rig_obey (store, host, USHER_SEEN_READY);
  g_autofree char *id = desktop ("id");
  rig_apply (store, USHER_KIND_POOL, "office",
             "{'display_name': 'Office', 'template': 'tiny', 'spares': 0, 'maximum': 3, 'vcpus': 1, "
             "'ram_mib': 256, 'naming': 'office-{n}'}");
  rig_good (usher_store_delete (store, &rig_admin, USHER_KIND_DESKTOP, id, &pending, &error));
  assert_true (pending);
  assert_desktop ("state", "draining");
  g_autoptr (UsherSyncRequest) report = rig_report (store);
  rig_report_add (report, id, USHER_SEEN_DELETING, "");
  rig_report_add (report, orphan, USHER_SEEN_READY, "");
  rig_good (usher_store_seen (store, host, report, &error));
  assert_desktop ("state", "draining");
  g_autoptr (UsherSyncAnswer) answer = NULL;
  rig_good (usher_store_wanted (store, host, report, 0, &answer, &error));
  assert_int_equal (answer->desktops->len, 2);
  for (guint i = 0; i < 2; i++)
    assert_int_equal (((UsherWantedDesktop *) answer->desktops->pdata[i])->wanted, USHER_WANTED_GONE);
  json_auto_t *document = usher_sync_answer_to_json (answer);
  g_autoptr (UsherSyncAnswer) parsed = usher_sync_answer_from_json (document, NULL);
  assert_non_null (parsed);
  assert_int_equal (rig_obey (store, host, USHER_SEEN_READY), 1);
  assert_int_equal (rig_number ("SELECT count(*) FROM desktop"), 0);
  rig_refused (usher_store_get (store, USHER_KIND_DESKTOP, id, &error), USHER_ERROR_MISSING);

  g_free (report->deployment);
  report->deployment = g_strdup (orphan);
  rig_refused (usher_store_seen (store, host, report, &error), USHER_ERROR_REFUSED);
  rig_refused (usher_store_seen (store, orphan, report, &error), USHER_ERROR_MISSING);
}

static void
the_wanted_set_is_told_when_it_changes (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  char host[USHER_ID_SIZE], person[USHER_ID_SIZE];
  g_autoptr (UsherSyncAnswer) first = NULL, same = NULL, placed = NULL, still = NULL, secret = NULL, drain = NULL;
  (void) state;
  rig_host (store, "kvm1", host);
  rig_person (store, "alice", "staff", person);
  rig_good (usher_store_wanted (store, host, NULL, 0, &first, &error));
  rig_good (usher_store_wanted (store, host, NULL, first->version, &same, &error));
  assert_null (same);
  rig_pool (store, 1, 3);
  rig_work (store);
  rig_good (usher_store_wanted (store, host, NULL, first->version, &placed, &error));
  assert_int_equal (placed->desktops->len, 1);
  rig_obey (store, host, USHER_SEEN_READY);
  rig_good (usher_store_wanted (store, host, NULL, placed->version, &still, &error));
  assert_null (still); /* what is seen is no news to the host */
  usher_connect_free (connect_alice (store, person));
  rig_good (usher_store_wanted (store, host, NULL, placed->version, &secret, &error));
  assert_non_null (((UsherWantedDesktop *) secret->desktops->pdata[0])->console_secret);
  rig_apply (store, USHER_KIND_HOST, "kvm1", "{'mode': 'drain'}");
  rig_good (usher_store_wanted (store, host, NULL, secret->version, &drain, &error));
  assert_true (drain->draining);
}

static void
a_host_joins_once_with_a_token (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  char token[USHER_TOKEN_SIZE], host[USHER_ID_SIZE], found[USHER_ID_SIZE];
  (void) state;
  rig_refused (usher_store_join_token (store, &rig_admin, "Not a name", 600, token, &error), USHER_ERROR_INVALID);
  rig_good (usher_store_join_token (store, &rig_admin, "kvm1", 600, token, &error));
  rig_refused (usher_store_join_check (store, token, "kvm2", host, &error), USHER_ERROR_UNAUTHENTICATED);
  rig_good (usher_store_join_check (store, token, "kvm1", host, &error));
  rig_good (usher_store_join_check (store, token, "kvm1", host, &error));
  rig_good (usher_store_join_use (store, &rig_admin, token, "kvm1", "aa", &error));
  rig_refused (usher_store_join_use (store, &rig_admin, token, "kvm1", "bb", &error), USHER_ERROR_UNAUTHENTICATED);
  rig_good (usher_store_find_host (store, "aa", found, &error));
  assert_string_equal (host, found);
  rig_good (usher_store_join_token (store, &rig_admin, "kvm1", 0, token, &error));
  rig_refused (usher_store_join_check (store, token, "kvm1", host, &error), USHER_ERROR_UNAUTHENTICATED); /* expired */
  rig_good (usher_store_join_token (store, &rig_admin, "kvm1", 600, token, &error));
  rig_good (
      usher_store_join_use (store, &rig_admin, token, "kvm1", "bb", &error)); /* joins anew: the old certificate ends */
  rig_refused (usher_store_find_host (store, "aa", found, &error), USHER_ERROR_UNAUTHENTICATED);
}

static void
a_deleted_pool_goes_with_its_last_desktop (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  char host[USHER_ID_SIZE], person[USHER_ID_SIZE];
  gboolean pending = FALSE;
  (void) state;
  rig_pool (store, 2, 3);
  rig_host (store, "kvm1", host);
  rig_person (store, "alice", "staff", person);
  rig_work (store);
  rig_good (usher_store_delete (store, &rig_admin, USHER_KIND_POOL, "office", &pending, &error));
  assert_true (pending);
  rig_refused (usher_store_connect (store, &alice, person, "office", "browser", NULL, &error), USHER_ERROR_MISSING);
  rig_work (store);
  assert_int_equal (rig_number ("SELECT count(*) FROM desktop WHERE state = 'draining'"), 2);
  rig_obey (store, host, USHER_SEEN_READY);
  rig_work (store);
  assert_int_equal (rig_number ("SELECT count(*) FROM pool"), 0);
}

static void
sessions_that_are_over_end (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  char host[USHER_ID_SIZE], person[USHER_ID_SIZE], session[USHER_ID_SIZE];
  const UsherActor gateway = { "gateway gw1", NULL, NULL };
  guint ended = 0;
  gboolean pending;
  (void) state;
  rig_pool (store, 1, 3);
  rig_host (store, "kvm1", host);
  rig_person (store, "alice", "staff", person);
  rig_work (store);
  rig_obey (store, host, USHER_SEEN_READY);
  g_autoptr (UsherConnect) one = connect_alice (store, person);
  rig_good (usher_work_end_sessions (store, &ended, &error));
  assert_int_equal (ended, 0);
  g_free (rig_sql (rig_super (), "UPDATE ticket SET expires_at = now()"));
  UsherRedeemRequest request = { one->ticket, (char *) "gw1", (char *) "203.0.113.9", (char *) "tls" };
  rig_refused (usher_store_redeem (store, &request, &gateway, session, &error), USHER_ERROR_UNAUTHENTICATED);
  g_free (rig_sql (rig_super (), "UPDATE session SET since = now() - interval '1 hour'"));
  rig_good (usher_work_end_sessions (store, &ended, &error));
  assert_int_equal (ended, 1);

  g_autoptr (UsherConnect) two = connect_alice (store, person);
  rig_good (usher_store_delete (store, &rig_admin, USHER_KIND_DESKTOP, usher_json_string (two->desktop, "name"),
                                &pending, &error));
  UsherRedeemRequest late = { two->ticket, (char *) "gw1", (char *) "203.0.113.9", (char *) "tls" };
  rig_refused (usher_store_redeem (store, &late, &gateway, session, &error), USHER_ERROR_UNAUTHENTICATED);
  rig_good (usher_work_end_sessions (store, &ended, &error));
  assert_int_equal (ended, 1);
  assert_int_equal (rig_number ("SELECT count(*) FROM session WHERE state <> 'ended'"), 0);
}

static const struct CMUnitTest flow_tests[] = {
  cmocka_unit_test (a_person_connects_and_a_gateway_redeems),
  cmocka_unit_test (the_same_desktop_tomorrow),
  cmocka_unit_test (who_may_not_gets_a_reason),
  cmocka_unit_test (without_a_spare_one_is_made),
  cmocka_unit_test (one_being_made_is_taken_before_another_is_planned),
  cmocka_unit_test (without_a_host_it_says_why),
  cmocka_unit_test (a_silent_host_is_unknown_not_dead),
  cmocka_unit_test (what_cannot_be_made_is_replaced_slowly),
  cmocka_unit_test (a_failed_desktop_with_work_stays),
  cmocka_unit_test (a_row_outlives_its_domain_and_orphans_end),
  cmocka_unit_test (the_wanted_set_is_told_when_it_changes),
  cmocka_unit_test (a_host_joins_once_with_a_token),
  cmocka_unit_test (a_deleted_pool_goes_with_its_last_desktop),
  cmocka_unit_test (sessions_that_are_over_end),
};

int
run_flow_tests (const char *name)
{
  if (!g_str_equal (name, "--list"))
    return cmocka_run_group_tests (flow_tests, NULL, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (flow_tests); i++)
    puts (flow_tests[i].name);
  return 0;
}
