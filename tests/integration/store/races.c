/* Many at once, and a database that goes away. */
#include <stdio.h>

#include "broker/controllers/controllers.h"
#include "tests/integration/store/rig.h"

#define THREADS 12
#define PEOPLE 200

typedef struct {
  char (*people)[USHER_ID_SIZE];
  gint next; /* atomic */
  gint first;
  gint ready, waiting, refused, failed;
} Crowd;

static gpointer
connect_people (gpointer data)
{
  Crowd *crowd = data;
  g_autoptr (UsherStore) store = rig_store ();
  for (gint i; (i = g_atomic_int_add (&crowd->next, 1)) < PEOPLE;)
    {
      g_autoptr (GError) error = NULL;
      UsherActor actor = { "somebody", "192.0.2.7", NULL };
      g_autoptr (UsherConnect) connect
          = usher_store_connect (store, &actor, crowd->people[i - crowd->first], "office", "browser", NULL, &error);
      gint *which = connect != NULL ? connect->ready ? &crowd->ready : &crowd->waiting
                    : g_error_matches (error, USHER_ERROR, USHER_ERROR_EXHAUSTED) ? &crowd->refused
                                                                                  : &crowd->failed;
      g_atomic_int_inc (which);
      if (which == &crowd->failed)
        g_printerr ("connect: %s\n", error->message);
    }
  return NULL;
}

static void
run_threads (GThreadFunc func, gpointer data)
{
  GThread *threads[THREADS];
  for (int i = 0; i < THREADS; i++)
    threads[i] = g_thread_new ("crowd", func, data);
  for (int i = 0; i < THREADS; i++)
    g_thread_join (threads[i]);
}

typedef struct {
  UsherStore *store;
  gint ending; /* atomic */
} Worker;

static gpointer
work_on_and_on (gpointer data)
{
  Worker *worker = data;
  while (!g_atomic_int_get (&worker->ending))
    rig_work (worker->store);
  return NULL;
}

/* As many people as the pool has room for, while the controllers plan and place: each gets one, whoever held the spare just
 * then. */
static void
a_spare_that_is_held_is_waited_for (void **state)
{
  g_autoptr (UsherStore) store = rig_store (), other = rig_store ();
  char host[USHER_ID_SIZE], people[4][USHER_ID_SIZE];
  Worker worker = { .store = other };
  (void) state;
  rig_host (store, "kvm1", host);
  for (int i = 0; i < 4; i++)
    {
      g_autofree char *name = g_strdup_printf ("user%d", i);
      rig_person (store, name, "staff", people[i]);
    }
  for (int round = 0; round < 15; round++)
    {
      Crowd crowd = { .people = people, .next = PEOPLE - 4, .first = PEOPLE - 4 };
      rig_pool (store, 1, 4);
      worker.ending = 0;
      GThread *controllers = g_thread_new ("controllers", work_on_and_on, &worker);
      run_threads (connect_people, &crowd);
      g_atomic_int_set (&worker.ending, 1);
      g_thread_join (controllers);
      assert_int_equal (crowd.failed + crowd.refused, 0);
      assert_int_equal (crowd.ready + crowd.waiting, 4);
      assert_int_equal (rig_number ("SELECT count(*) FROM desktop"), 4);
      g_free (rig_sql (rig_super (), "DELETE FROM session; DELETE FROM desktop; DELETE FROM entitlement; DELETE FROM pool"));
    }
}

typedef struct {
  const char *person;
  UsherConnect *connect;
} Waiter;

static gpointer
connect_one (gpointer data)
{
  Waiter *waiter = data;
  g_autoptr (UsherStore) store = rig_store ();
  UsherActor actor = { "alice", "192.0.2.7", NULL };
  waiter->connect = usher_store_connect (store, &actor, waiter->person, "office", "browser", NULL, NULL);
  return NULL;
}

static void
a_full_pool_waits_for_what_is_nobodys (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  char host[USHER_ID_SIZE], person[USHER_ID_SIZE];
  Waiter waiter = { .person = person };
  (void) state;
  rig_pool (store, 1, 1);
  rig_host (store, "kvm1", host);
  rig_person (store, "alice", "staff", person);
  rig_work (store);
  PGconn *holder = PQconnectdb (rig_super ());
  PQclear (PQexec (holder, "BEGIN"));
  PQclear (PQexec (holder, "SELECT FROM desktop FOR UPDATE"));
  GThread *thread = g_thread_new ("alice", connect_one, &waiter);
  g_usleep (300 * 1000); /* it has no other way to end than wrongly */
  PQclear (PQexec (holder, "COMMIT"));
  PQfinish (holder);
  g_thread_join (thread);
  assert_non_null (waiter.connect);
  assert_false (waiter.connect->ready);
  usher_connect_free (waiter.connect);
  assert_int_equal (rig_number ("SELECT count(*) FROM desktop WHERE owner IS NOT NULL"), 1);
}

/* 200 people at once, 120 spares ready, room for 180: nothing twice, nobody more than one, exactly 20 are told that it
 * is full. */
static void
two_hundred_connect_and_nothing_is_assigned_twice (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  char host[USHER_ID_SIZE];
  static char people[PEOPLE][USHER_ID_SIZE];
  Crowd crowd = { .people = people };
  (void) state;
  rig_pool (store, 120, 180);
  rig_host (store, "kvm1", host);
  for (int i = 0; i < PEOPLE; i++)
    {
      g_autofree char *name = g_strdup_printf ("user%d", i);
      rig_person (store, name, "staff", people[i]);
    }
  rig_work (store);
  rig_obey (store, host, USHER_SEEN_READY);
  assert_int_equal (rig_number ("SELECT count(*) FROM desktop WHERE state = 'spare'"), 120);
  gint64 began_us = g_get_monotonic_time ();
  run_threads (connect_people, &crowd);
  print_message ("# %d connects in %d ms\n", PEOPLE, (int) ((g_get_monotonic_time () - began_us) / 1000));
  assert_int_equal (crowd.failed, 0);
  assert_int_equal (crowd.ready, 120);
  assert_int_equal (crowd.waiting, 60);
  assert_int_equal (crowd.refused, 20);
  assert_int_equal (rig_number ("SELECT count(DISTINCT owner) FROM desktop WHERE owner IS NOT NULL"), 180);
  assert_int_equal (rig_number ("SELECT count(*) FROM desktop"), 180);
  assert_int_equal (rig_number ("SELECT count(DISTINCT desktop) FROM session"), 120);
  assert_int_equal (rig_number ("SELECT count(*) FROM audit WHERE action = 'connect' AND outcome = 'ok'"), 120);
}

static void
one_person_many_times_gets_one_desktop (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  char host[USHER_ID_SIZE], person[USHER_ID_SIZE];
  static char people[PEOPLE][USHER_ID_SIZE];
  Crowd crowd = { .people = people };
  (void) state;
  rig_pool (store, 5, 50);
  rig_host (store, "kvm1", host);
  rig_person (store, "alice", "staff", person);
  for (int i = 0; i < PEOPLE; i++)
    memcpy (people[i], person, sizeof person);
  rig_work (store);
  rig_obey (store, host, USHER_SEEN_READY);
  run_threads (connect_people, &crowd);
  assert_int_equal (crowd.failed + crowd.refused, 0);
  assert_int_equal (rig_number ("SELECT count(*) FROM desktop WHERE owner IS NOT NULL"), 1);
}

static gint redeemed;

static gpointer
redeem_ticket (gpointer ticket)
{
  g_autoptr (UsherStore) store = rig_store ();
  UsherRedeemRequest request = { ticket, (char *) "gw1", (char *) "203.0.113.9", (char *) "tls" };
  const UsherActor gateway = { "gateway gw1", NULL, NULL };
  char session[USHER_ID_SIZE];
  if (usher_store_redeem (store, &request, &gateway, session, NULL))
    g_atomic_int_inc (&redeemed);
  return NULL;
}

static void
a_ticket_is_redeemed_by_one_of_many (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  char host[USHER_ID_SIZE], person[USHER_ID_SIZE];
  const UsherActor alice = { "alice", NULL, NULL };
  (void) state;
  rig_pool (store, 1, 2);
  rig_host (store, "kvm1", host);
  rig_person (store, "alice", "staff", person);
  rig_work (store);
  rig_obey (store, host, USHER_SEEN_READY);
  g_autoptr (UsherConnect) connect = usher_store_connect (store, &alice, person, "office", "spice", NULL, NULL);
  assert_non_null (connect);
  run_threads (redeem_ticket, connect->ticket);
  assert_int_equal (redeemed, 1);
}

/* ---- a watch misses nothing while many write ---- */

static gint writers_left;

static gpointer
write_templates (gpointer data)
{
  static gint number;
  g_autoptr (UsherStore) store = rig_store ();
  (void) data;
  for (int i = 0; i < 25; i++)
    {
      g_autofree char *name = g_strdup_printf ("t%d", g_atomic_int_add (&number, 1));
      rig_apply (store, USHER_KIND_TEMPLATE, name, "{'version': 1}");
    }
  g_atomic_int_add (&writers_left, -1);
  return NULL;
}

static void
a_watch_misses_nothing (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  g_autoptr (GHashTable) names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  GThread *threads[THREADS];
  json_auto_t *list = usher_store_list (store, USHER_KIND_TEMPLATE, 0, 0, NULL);
  gint64 after = usher_json_int (list, "resource_version");
  (void) state;
  writers_left = THREADS;
  for (int i = 0; i < THREADS; i++)
    threads[i] = g_thread_new ("writer", write_templates, NULL);
  for (gboolean last = FALSE; !last;)
    {
      json_auto_t *changes = NULL;
      last = g_atomic_int_get (&writers_left) == 0;
      rig_good (usher_store_changes (store, USHER_KIND_TEMPLATE, after, &changes, &error));
      if (changes == NULL)
        continue;
      assert_true (usher_json_int (changes, "resource_version") >= after);
      after = usher_json_int (changes, "resource_version");
      gsize i;
      json_t *item;
      json_array_foreach (json_object_get (changes, "items"), i, item)
        g_hash_table_add (names, g_strdup (usher_json_string (item, "name")));
    }
  for (int i = 0; i < THREADS; i++)
    g_thread_join (threads[i]);
  assert_int_equal (g_hash_table_size (names), THREADS * 25);
}

/* ---- controllers ---- */

typedef struct {
  UsherControllers *brokers[2];
  guint calls, all;
} Woken;

static void
wake_both (guint kinds, gpointer user_data)
{
  Woken *woken = user_data;
  woken->calls++;
  woken->all += kinds == USHER_KIND_ALL;
  for (int i = 0; i < 2; i++)
    if (woken->brokers[i] != NULL)
      usher_controllers_wake (woken->brokers[i], kinds);
}

static gboolean
passed (gpointer user_data)
{
  *(gboolean *) user_data = TRUE;
  return G_SOURCE_REMOVE;
}

/* Runs the main loop until the number is there, at most 15 s. */
static void
wait_for (const char *sql, gint64 number)
{
  gint64 until_us = g_get_monotonic_time () + 15 * G_USEC_PER_SEC;
  while (rig_number (sql) != number)
    {
      gboolean over = FALSE;
      if (g_get_monotonic_time () > until_us)
        fail_msg ("%s: is %d, not %d", sql, (int) rig_number (sql), (int) number);
      g_timeout_add (20, passed, &over);
      while (!over)
        g_main_context_iteration (NULL, TRUE);
    }
}

static void
two_brokers_keep_a_pool_together (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  Woken woken = { .brokers = { usher_controllers_new (rig_broker ()), usher_controllers_new (rig_broker ()) } };
  g_autoptr (UsherStoreListener) listener = usher_store_listener_new (rig_broker (), wake_both, &woken);
  char host[USHER_ID_SIZE], person[USHER_ID_SIZE];
  const UsherActor alice = { "alice", NULL, NULL };
  (void) state;
  rig_host (store, "kvm1", host);
  rig_person (store, "alice", "staff", person);
  rig_pool (store, 20, 30);
  wait_for ("SELECT count(*) FROM desktop WHERE state = 'provisioning'", 20);
  assert_true (usher_store_listener_is_up (listener));
  rig_obey (store, host, USHER_SEEN_READY);
  assert_int_equal (rig_number ("SELECT count(*) FROM desktop WHERE state = 'spare'"), 20);
  gint64 began_us = g_get_monotonic_time ();
  g_autoptr (UsherConnect) connect = usher_store_connect (store, &alice, person, "office", "browser", NULL, NULL);
  assert_true (connect->ready);
  wait_for ("SELECT count(*) FROM desktop", 21); /* the event that took the spare refills, no timer */
  assert_true (g_get_monotonic_time () - began_us < 5 * G_USEC_PER_SEC);
  guint passes = usher_controllers_get_passes (woken.brokers[0]);
  gboolean over = FALSE;
  g_timeout_add (1500, passed, &over);
  while (!over)
    g_main_context_iteration (NULL, TRUE);
  assert_int_equal (rig_number ("SELECT count(*) FROM desktop"), 21);
  assert_true (usher_controllers_get_passes (woken.brokers[0]) - passes < 8); /* at rest when there is nothing to do */
  passes = usher_controllers_get_passes (woken.brokers[0]);
  began_us = g_get_monotonic_time ();
  while (g_get_monotonic_time () - began_us < G_USEC_PER_SEC)
    {
      usher_controllers_wake (woken.brokers[0], USHER_KIND_BIT (USHER_KIND_DESKTOP));
      g_usleep (2000);
    }
  passes = usher_controllers_get_passes (woken.brokers[0]) - passes;
  gint64 most = 5 + (g_get_monotonic_time () - began_us) / (100 * 1000) + 3; /* a burst, the pace, and those that look again */
  assert_in_range (passes, 1, most);
  for (int i = 0; i < 2; i++)
    g_clear_pointer (&woken.brokers[i], usher_controllers_free);
}

/* ---- a database that goes away ---- */

static void
a_restart_is_unavailable_then_over (void **state)
{
  g_autoptr (UsherStore) store = rig_store ();
  Woken woken = { 0 };
  g_autoptr (UsherStoreListener) listener = usher_store_listener_new (rig_broker (), wake_both, &woken);
  json_auto_t *list = NULL, *again = NULL;
  (void) state;
  rig_apply (store, USHER_KIND_TEMPLATE, "tiny", "{'version': 1}");
  while (woken.all == 0)
    g_main_context_iteration (NULL, TRUE);
  rig_ask ("kill");
  rig_refused (usher_store_list (store, USHER_KIND_TEMPLATE, 0, 0, &error), USHER_ERROR_UNAVAILABLE);
  rig_refused (usher_store_probe (store, &error), USHER_ERROR_UNAVAILABLE);
  json_auto_t *spec = json_pack ("{s:i}", "version", 2);
  rig_refused (usher_store_apply (store, &rig_admin, USHER_KIND_TEMPLATE, "tiny", spec, 0, NULL, &error),
               USHER_ERROR_UNAVAILABLE);
  while (usher_store_listener_is_up (listener))
    g_main_context_iteration (NULL, TRUE);
  rig_ask ("start");
  rig_good (list = usher_store_list (store, USHER_KIND_TEMPLATE, 0, 0, &error)); /* the same store, by itself */
  assert_int_equal (json_array_size (json_object_get (list, "items")), 1);
  guint all = woken.all;
  while (woken.all == all)
    g_main_context_iteration (NULL, TRUE);
  assert_true (usher_store_listener_is_up (listener));
  rig_ask ("kill");
  rig_ask ("start");
  rig_good (again = usher_store_list (store, USHER_KIND_TEMPLATE, 0, 0, &error)); /* unnoticed while idle */
}

static const struct CMUnitTest race_tests[] = {
  cmocka_unit_test (a_spare_that_is_held_is_waited_for),
  cmocka_unit_test (a_full_pool_waits_for_what_is_nobodys),
  cmocka_unit_test (two_hundred_connect_and_nothing_is_assigned_twice),
  cmocka_unit_test (one_person_many_times_gets_one_desktop),
  cmocka_unit_test (a_ticket_is_redeemed_by_one_of_many),
  cmocka_unit_test (a_watch_misses_nothing),
  cmocka_unit_test (two_brokers_keep_a_pool_together),
  cmocka_unit_test (a_restart_is_unavailable_then_over),
};

int
run_race_tests (const char *name)
{
  if (!g_str_equal (name, "--list"))
    return cmocka_run_group_tests (race_tests, NULL, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (race_tests); i++)
    puts (race_tests[i].name);
  return 0;
}
