/* Unit tests of common/: what every part stands on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <sodium.h>
#include <string.h>

#include "common/checksum.h"
#include "common/error.h"
#include "common/id.h"
#include "common/json.h"
#include "common/pace.h"
#include "common/rpc/door.h"
#include "common/rpc/grant.h"
#include "common/rpc/redeem.h"
#include "common/rpc/sync.h"
#include "common/secret.h"
#include "common/settings.h"
#include "common/workers.h"

#define DESKTOP "11111111-2222-4333-8444-555555555555"
#define HOST "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"

static void
assert_error (GError *error, int code, const char *part)
{
  assert_non_null (error);
  assert_true (error->domain == USHER_ERROR);
  assert_int_equal (error->code, code);
  if (strstr (error->message, part) == NULL)
    fail_msg ("«%s» does not say «%s»", error->message, part);
  g_error_free (error);
}

/* ---- errors, ids, tokens, secrets ---- */

static void
every_code_has_name_and_status (void **state)
{
  for (int code = 0; code <= USHER_ERROR_INTERNAL; code++)
    {
      assert_non_null (usher_error_name (code));
      assert_in_range (usher_error_http_status (code), 400, 599);
    }
  assert_string_equal (usher_error_name (9999), "internal");
}

static void
ids_and_tokens (void **state)
{
  g_autofree char *id = usher_id_new ();
  assert_true (usher_id_is_valid (id));
  assert_false (usher_id_is_valid (NULL));
  assert_false (usher_id_is_valid ("11111111-2222-4333-8444-55555555555"));
  assert_false (usher_id_is_valid ("11111111-2222-4333-8444-5555555555555"));
  assert_false (usher_id_is_valid ("11111111-2222-4333-8444-55555555555A"));
  assert_false (usher_id_is_valid ("111111111222-4333-8444-555555555555-"));

  char a[USHER_TOKEN_SIZE], b[USHER_TOKEN_SIZE], hash[USHER_TOKEN_HASH_SIZE];
  usher_token_new (a);
  usher_token_new (b);
  assert_true (usher_token_is_valid (a));
  assert_string_not_equal (a, b);
  a[5] = '=';
  assert_false (usher_token_is_valid (a));
  usher_token_hash ("abc", hash); /* BLAKE2b-256("abc") */
  assert_string_equal (hash, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
}

static void
secrets_compare_and_zero_their_source (void **state)
{
  char text[] = "correct horse";
  g_autoptr (UsherSecret) taken = usher_secret_take_string (text);
  g_autoptr (UsherSecret) same = usher_secret_new_string ("correct horse");
  g_autoptr (UsherSecret) other = usher_secret_new_string ("correct hors");
  assert_string_equal (text, "");
  assert_true (usher_secret_equal (taken, same));
  assert_false (usher_secret_equal (taken, other));
  assert_false (usher_secret_equal (NULL, NULL));
}

/* ---- JSON ---- */

static void
json_errors_name_the_place (void **state)
{
  GError *error = NULL;
  assert_null (usher_json_parse ("{\"a\":1,\"a\":2}", 13, "body", &error));
  assert_error (g_steal_pointer (&error), USHER_ERROR_INVALID, "body: line 1");
  assert_null (usher_json_parse ("{\"z\":\"a\\u0000b\"}", 16, "body", &error)); /* C strings end at NUL */
  assert_error (g_steal_pointer (&error), USHER_ERROR_INVALID, "u0000");

  json_auto_t *good = usher_json_parse ("{\"n\":7,\"s\":\"x\"}", 15, "body", &error);
  UsherJson at = { good, "spec" };
  gint64 n = 0;
  const char *s = NULL;
  assert_true (usher_json_get_int (at, "n", 1, 10, &n, &error));
  assert_int_equal (n, 7);
  assert_false (usher_json_get_int (at, "n", 1, 6, &n, &error));
  assert_error (g_steal_pointer (&error), USHER_ERROR_INVALID, "spec.n: must be a whole number from 1 to 6");
  assert_false (usher_json_get_string (at, "absent", &s, &error));
  assert_error (g_steal_pointer (&error), USHER_ERROR_INVALID, "spec.absent: is missing");
  assert_true (usher_json_find_string (at, "absent", &s, &error));
  assert_null (s);
  assert_false (usher_json_only (at, (const char *const[]) { "n", NULL }, &error));
  assert_error (g_steal_pointer (&error), USHER_ERROR_INVALID, "spec.s: is not known");
}

static void
deep_json_is_refused (void **state)
{
  g_autofree char *deep = g_strnfill (100000, '[');
  GError *error = NULL;
  assert_null (usher_json_parse (deep, 100000, "body", &error));
  assert_error (error, USHER_ERROR_INVALID, "depth");
}

/* ---- settings ---- */

static const UsherSetting schema[] = {
  { "broker", "name", USHER_SETTING_STRING, NULL, .help = "Its name" },
  { "broker", "port", USHER_SETTING_INT, "80", 1, 65535, .help = "Its port" },
  { "broker", "hosts", USHER_SETTING_LIST, "", .help = "Hosts" },
  { "broker", "listen", USHER_SETTING_ADDRESS, "127.0.0.1:1", .help = "Where" },
  { "broker", "password", USHER_SETTING_STRING, "", .secret = TRUE, .help = "Secret" },
  { "other", "mode", USHER_SETTING_CHOICE, "auto", .choices = "auto|kvm", .help = "Mode" },
  { 0 },
};

static void
settings_are_read (void **state)
{
  const char *text = "# a comment\n[broker]\nname = front desk\nhosts = a  b\npassword = s3cret\nlisten=[::1]:8443\n";
  GError *error = NULL;
  g_autoptr (UsherSettings) settings = usher_settings_parse (schema, "x.conf", text, strlen (text), &error);
  assert_null (error);
  assert_string_equal (usher_settings_get_string (settings, "broker", "name"), "front desk");
  assert_int_equal (usher_settings_get_int (settings, "broker", "port"), 80);
  assert_string_equal (usher_settings_get_list (settings, "broker", "hosts")[1], "b");
  g_autofree char *print = usher_settings_print (settings);
  assert_null (strstr (print, "s3cret"));
  g_autofree char *help = usher_settings_describe (schema);
  assert_non_null (strstr (help, "#port = 80"));
}

static void
settings_refuse_what_they_should (void **state)
{
  static const struct {
    const char *text, *message;
  } cases[] = {
    { "[broker]\nport = 5\n", "name is missing" },
    { "[broker]\nname = a\nname = b\n", "x.conf:3: [broker] name is given twice" },
    { "[broker]\nname = a\nport = 1 # low\n", "x.conf:3: port: a comment stands" },
    { "[broker]\nname = a\nport = 0\n", "x.conf:3: port: «0» is not a whole number from 1 to 65535" },
    { "[broker]\nname = a\nprot = 1\n", "x.conf:3: [broker] has no key «prot»" },
    { "[brokre]\n", "x.conf:1: section [brokre] is not known" },
    { "name = a\n", "x.conf:1: name: stands before" },
    { "[broker\n", "x.conf:1: a section is written" },
    { "[broker]\nname = a\n[other]\nmode = no\n", "x.conf:4: mode: «no» is none of auto|kvm" },
    { "[broker]\nname = a\nlisten = ::1:80\n", "x.conf:3: listen: «::1:80» is not HOST:PORT" },
    { "[broker]\nname =\n", "x.conf:2: name: has no value" },
    { "[broker]\njust words\n", "x.conf:2: neither" },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      GError *error = NULL;
      assert_null (usher_settings_parse (schema, "x.conf", cases[i].text, strlen (cases[i].text), &error));
      assert_error (error, USHER_ERROR_INVALID, cases[i].message);
    }
}

/* ---- messages ---- */

static void
grants_open_only_where_they_should (void **state)
{
  unsigned char public[USHER_GRANT_PUBLIC_KEY_SIZE], secret[USHER_GRANT_SECRET_KEY_SIZE], stranger[USHER_GRANT_PUBLIC_KEY_SIZE];
  unsigned char unused[USHER_GRANT_SECRET_KEY_SIZE];
  crypto_sign_keypair (public, secret);
  crypto_sign_keypair (stranger, unused);
  UsherGrant grant = { DESKTOP, HOST, DESKTOP, USHER_SERVICE_SPICE, 1000 }, opened = { 0 };
  g_autofree char *sealed = usher_grant_seal (&grant, secret);
  gsize length = strlen (sealed);
  GError *error = NULL;

  assert_true (length <= USHER_GRANT_MAX);
  assert_true (usher_grant_open (sealed, length, public, HOST, 999, &opened, &error));
  assert_string_equal (opened.desktop, DESKTOP);
  assert_int_equal (opened.service, USHER_SERVICE_SPICE);
  assert_false (usher_grant_open (sealed, length, public, HOST, 1000, &opened, &error));
  assert_error (g_steal_pointer (&error), USHER_ERROR_REFUSED, "expired");
  assert_false (usher_grant_open (sealed, length, public, DESKTOP, 999, &opened, &error));
  assert_error (g_steal_pointer (&error), USHER_ERROR_REFUSED, "another host");
  assert_false (usher_grant_open (sealed, length, stranger, HOST, 999, &opened, &error));
  assert_error (g_steal_pointer (&error), USHER_ERROR_REFUSED, "signature");
  assert_false (usher_grant_open ("!!", 2, public, HOST, 999, &opened, &error));
  assert_error (g_steal_pointer (&error), USHER_ERROR_INVALID, "base64url");
  for (gsize i = 0; i < length; i += 7) /* no single changed character opens */
    {
      g_autofree char *bent = g_strdup (sealed);
      bent[i] = bent[i] == 'A' ? 'B' : 'A';
      assert_false (usher_grant_open (bent, length, public, HOST, 999, &opened, NULL));
    }
}

static void
door_messages_round_trip_in_pieces (void **state)
{
  g_autoptr (GByteArray) request = usher_door_request (USHER_SERVICE_SPICE, "grant-text");
  UsherService service = 0;
  const char *grant = NULL;
  gsize grant_length = 0;
  GError *error = NULL;
  for (guint i = 0; i < request->len; i++)
    assert_int_equal (usher_door_request_parse (request->data, i, &service, &grant, &grant_length, &error), 0);
  assert_int_equal (usher_door_request_parse (request->data, request->len, &service, &grant, &grant_length, &error), request->len);
  assert_memory_equal (grant, "grant-text", grant_length);

  assert_int_equal (usher_door_request_parse ((const guint8 *) "GET ", 4, &service, &grant, &grant_length, &error), -1);
  assert_error (g_steal_pointer (&error), USHER_ERROR_INVALID, "UDOR");
  request->data[5] = 9;
  assert_int_equal (usher_door_request_parse (request->data, request->len, &service, &grant, &grant_length, &error), -1);
  assert_error (g_steal_pointer (&error), USHER_ERROR_INVALID, "service 9");

  g_autoptr (GByteArray) answer = usher_door_answer (USHER_DOOR_MISSING, "no such desktop");
  UsherDoorStatus status = 0;
  g_autofree char *message = NULL;
  assert_int_equal (usher_door_answer_parse (answer->data, answer->len, &status, &message, &error), answer->len);
  assert_int_equal (status, USHER_DOOR_MISSING);
  assert_string_equal (message, "no such desktop");
}

static void
sync_documents_round_trip (void **state)
{
  g_autoptr (UsherSyncRequest) request = usher_sync_request_new ();
  request->deployment = g_strdup (HOST);
  request->name = g_strdup ("kvm1");
  request->templates = g_strsplit ("tiny/1", ",", -1);
  UsherSeenDesktop *seen = g_new0 (UsherSeenDesktop, 1);
  g_strlcpy (seen->id, DESKTOP, sizeof seen->id);
  seen->state = USHER_SEEN_READY;
  g_ptr_array_add (request->desktops, seen);
  json_auto_t *json = usher_sync_request_to_json (request);
  GError *error = NULL;
  g_autoptr (UsherSyncRequest) again = usher_sync_request_from_json (json, &error);
  assert_null (error);
  assert_string_equal (again->templates[0], "tiny/1");
  assert_int_equal (((UsherSeenDesktop *) again->desktops->pdata[0])->state, USHER_SEEN_READY);

  json_object_set_new (json_array_get (json_object_get (json, "desktops"), 0), "state", json_string ("asleep"));
  assert_null (usher_sync_request_from_json (json, &error));
  assert_error (error, USHER_ERROR_INVALID, "sync.desktops[0].state: «asleep»");

  g_autoptr (UsherSyncAnswer) answer = usher_sync_answer_new ();
  UsherWantedDesktop *wanted = g_new0 (UsherWantedDesktop, 1); /* an orphan: only its id is known */
  g_strlcpy (wanted->id, DESKTOP, sizeof wanted->id);
  wanted->wanted = USHER_WANTED_GONE;
  wanted->user = g_strdup ("alice");
  g_ptr_array_add (answer->desktops, wanted);
  json_auto_t *answer_json = usher_sync_answer_to_json (answer);
  assert_non_null (answer_json);
  error = NULL;
  g_autoptr (UsherSyncAnswer) answer_again = usher_sync_answer_from_json (answer_json, &error);
  assert_null (error);
  assert_int_equal (((UsherWantedDesktop *) answer_again->desktops->pdata[0])->wanted, USHER_WANTED_GONE);
  assert_string_equal (((UsherWantedDesktop *) answer_again->desktops->pdata[0])->user, "alice");
}

static void
sync_images_round_trip (void **state)
{
  g_autoptr (UsherSyncAnswer) answer = usher_sync_answer_new ();
  g_autoptr (UsherSyncRequest) request = usher_sync_request_new ();
  GError *error = NULL;
  UsherWantedVersion *version = usher_wanted_version_new ("tiny", 3);
  UsherImageFile *file = g_new0 (UsherImageFile, 1);
  UsherParentKey *key = g_new0 (UsherParentKey, 1);
  UsherSeenParent *parent = g_new0 (UsherSeenParent, 1);
  UsherSeenFetch *fetch = g_new0 (UsherSeenFetch, 1);
  *file = (UsherImageFile) { g_strdup ("disk.qcow2"), 7, g_strdup ("abc") };
  *key = (UsherParentKey) { g_strdup ("tiny"), 3, 1, 192 };
  *parent = (UsherSeenParent) { { g_strdup ("tiny"), 3, 1, 192 }, USHER_PARENT_UNABLE, g_strdup ("no agent") };
  *fetch = (UsherSeenFetch) { g_strdup ("tiny"), 3, 5, 7, g_strdup ("") };
  g_ptr_array_add (version->files, file);
  g_ptr_array_add (answer->versions, version);
  g_ptr_array_add (answer->parents, key);
  g_ptr_array_add (request->parents, parent);
  g_ptr_array_add (request->fetches, fetch);

  json_auto_t *said = usher_sync_answer_to_json (answer);
  g_autoptr (UsherSyncAnswer) heard = usher_sync_answer_from_json (said, &error);
  assert_null (error);
  assert_string_equal (((UsherWantedVersion *) heard->versions->pdata[0])->template_name, "tiny");
  const UsherImageFile *heard_file = ((UsherWantedVersion *) heard->versions->pdata[0])->files->pdata[0];
  assert_int_equal (heard_file->size, 7);
  assert_int_equal (((UsherParentKey *) heard->parents->pdata[0])->ram_mib, 192);

  json_auto_t *reported = usher_sync_request_to_json (request);
  g_autoptr (UsherSyncRequest) taken = usher_sync_request_from_json (reported, &error);
  assert_null (error);
  assert_int_equal (((UsherSeenParent *) taken->parents->pdata[0])->state, USHER_PARENT_UNABLE);
  assert_string_equal (((UsherSeenParent *) taken->parents->pdata[0])->reason, "no agent");
  assert_int_equal (((UsherSeenFetch *) taken->fetches->pdata[0])->received, 5);

  json_object_set_new (json_array_get (json_object_get (reported, "parents"), 0), "state", json_string ("asleep"));
  assert_null (usher_sync_request_from_json (reported, &error));
  assert_error (error, USHER_ERROR_INVALID, "sync.parents[0].state: «asleep»");
  json_object_del (reported, "parents"); /* as an older hostd has it */
  g_autoptr (UsherSyncRequest) older = usher_sync_request_from_json (reported, NULL);
  assert_non_null (older);
  assert_int_equal (older->parents->len, 0);
}

static void
redeem_documents_round_trip (void **state)
{
  g_autoptr (UsherRedeemAnswer) answer = g_new0 (UsherRedeemAnswer, 1);
  g_strlcpy (answer->session, HOST, USHER_ID_SIZE);
  g_strlcpy (answer->desktop, DESKTOP, USHER_ID_SIZE);
  answer->user = g_strdup ("alice");
  answer->service = USHER_SERVICE_SPICE;
  answer->door = g_strdup ("unix:/d");
  answer->grant = g_strdup ("g");
  answer->secret = usher_secret_new_string ("s");
  json_auto_t *json = usher_redeem_answer_to_json (answer);
  GError *error = NULL;
  g_autoptr (UsherRedeemAnswer) again = usher_redeem_answer_from_json (json, &error);
  assert_null (error);
  assert_true (usher_secret_equal (again->secret, answer->secret));

  g_autoptr (UsherSessionEvent) event = g_new0 (UsherSessionEvent, 1);
  event->kind = USHER_SESSION_EVENT_DISCONNECTED;
  event->gateway = g_strdup ("gw");
  event->bytes_to_client = 9;
  json_auto_t *event_json = usher_session_event_to_json (event);
  g_autoptr (UsherSessionEvent) event_again = usher_session_event_from_json (event_json, &error);
  assert_null (error);
  assert_int_equal (event_again->kind, USHER_SESSION_EVENT_DISCONNECTED);
}

/* ---- workers ---- */

typedef struct {
  GMutex gate;
  int done, unavailable, loop_thread_ok;
  GThread *main_thread;
} Bench;

static gpointer
wait_at_gate (gpointer state, gpointer job, GError **error)
{
  Bench *bench = job;
  g_mutex_lock (&bench->gate);
  g_mutex_unlock (&bench->gate);
  return job;
}

static void
count_done (gpointer result, const GError *error, gpointer user_data)
{
  Bench *bench = user_data;
  bench->done++;
  bench->loop_thread_ok += g_thread_self () == bench->main_thread;
  bench->unavailable += g_error_matches (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE);
}

static void
workers_are_bounded_and_answer_once (void **state)
{
  Bench bench = { .main_thread = g_thread_self () };
  g_mutex_init (&bench.gate);
  g_mutex_lock (&bench.gate);
  UsherWorkers *workers = usher_workers_new ("test", 1, 2, NULL, NULL, NULL);
  GError *error = NULL;
  int accepted = 0;

  assert_true (usher_workers_submit (workers, wait_at_gate, &bench, NULL, 0, count_done, &bench, NULL, &error));
  accepted++;
  while (!error)
    accepted += usher_workers_submit (workers, wait_at_gate, &bench, NULL, 0, count_done, &bench, NULL, &error);
  assert_error (error, USHER_ERROR_BUSY, "test");
  assert_in_range (accepted, 2, 3);

  g_mutex_unlock (&bench.gate);
  while (bench.done < accepted)
    g_main_context_iteration (NULL, TRUE);
  assert_int_equal (bench.loop_thread_ok, accepted);
  assert_int_equal (bench.unavailable, 0);
  usher_workers_free (workers);
  g_mutex_clear (&bench.gate);
}

static gboolean
stop_half_way (guint64 done, gpointer user_data, GError **error)
{
  if (done <= 1024 * 1024)
    return TRUE;
  g_set_error_literal (error, USHER_ERROR, USHER_ERROR_BUSY, "enough");
  return FALSE;
}

static void
checksums_of_memory_and_files (void **state)
{
  g_autofree char *path = NULL;
  int fd = g_file_open_tmp ("usher-checksum-XXXXXX", &path, NULL);
  g_autofree char *zeros = g_malloc0 (3 * 1024 * 1024);
  char text[USHER_CHECKSUM_SIZE], other[USHER_CHECKSUM_SIZE];
  g_autoptr (UsherChecksum) abc = usher_checksum_new (), memory = usher_checksum_new (), file = usher_checksum_new ();
  g_autoptr (GError) error = NULL;

  usher_checksum_add (abc, "ab", 2);
  usher_checksum_add (abc, "c", 1);
  usher_checksum_end (abc, text);
  assert_string_equal (text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  assert_int_equal (write (fd, zeros, 3 * 1024 * 1024), 3 * 1024 * 1024);
  usher_checksum_add (memory, zeros, 2500001);
  usher_checksum_end (memory, text);
  assert_true (usher_checksum_add_fd (file, fd, 2500001, NULL, NULL, NULL));
  usher_checksum_end (file, other);
  assert_string_equal (text, other);
  assert_false (usher_checksum_add_fd (file, fd, 4 * 1024 * 1024, NULL, NULL, &error));
  assert_int_equal (error->code, USHER_ERROR_UNAVAILABLE);
  g_clear_error (&error);
  assert_false (usher_checksum_add_fd (file, fd, 3 * 1024 * 1024, stop_half_way, NULL, &error));
  assert_int_equal (error->code, USHER_ERROR_BUSY);
  close (fd);
  unlink (path);
}

/* ---- pace ---- */

static void
a_burst_goes_at_once_and_then_evenly (void **state)
{
  UsherPace pace = { .spacing_us = 100, .burst = 3 };
  gint64 now_us = 5000;
  (void) state;
  for (int i = 0; i < 3; i++)
    {
      assert_int_equal (usher_pace_get_pause_us (&pace, now_us), 0);
      usher_pace_take (&pace, now_us);
    }
  for (int i = 0; i < 4; i++, now_us += 100)
    {
      assert_int_equal (usher_pace_get_pause_us (&pace, now_us), 100);
      assert_int_equal (usher_pace_get_pause_us (&pace, now_us + 60), 40);
      assert_int_equal (usher_pace_get_pause_us (&pace, now_us + 100), 0);
      usher_pace_take (&pace, now_us + 100);
    }
  now_us += 300; /* quiet again: as at first */
  for (int i = 0; i < 3; i++)
    {
      assert_int_equal (usher_pace_get_pause_us (&pace, now_us), 0);
      usher_pace_take (&pace, now_us);
    }
  assert_int_equal (usher_pace_get_pause_us (&pace, now_us), 100);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (every_code_has_name_and_status),
    cmocka_unit_test (ids_and_tokens),
    cmocka_unit_test (a_burst_goes_at_once_and_then_evenly),
    cmocka_unit_test (secrets_compare_and_zero_their_source),
    cmocka_unit_test (json_errors_name_the_place),
    cmocka_unit_test (deep_json_is_refused),
    cmocka_unit_test (settings_are_read),
    cmocka_unit_test (settings_refuse_what_they_should),
    cmocka_unit_test (grants_open_only_where_they_should),
    cmocka_unit_test (door_messages_round_trip_in_pieces),
    cmocka_unit_test (sync_documents_round_trip),
    cmocka_unit_test (sync_images_round_trip),
    cmocka_unit_test (redeem_documents_round_trip),
    cmocka_unit_test (checksums_of_memory_and_files),
    cmocka_unit_test (workers_are_bounded_and_answer_once),
  };
  return sodium_init () < 0 ? 1 : cmocka_run_group_tests_name ("common", tests, NULL, NULL);
}
