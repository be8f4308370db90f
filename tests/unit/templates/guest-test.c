/* Unit tests of templates/guest: a fork's document is read whole or refused by member; a key is one that OpenSSH reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <glib/gstdio.h>
#include <string.h>

#include "templates/guest/document.h"
#include "templates/guest/ssh_key.h"

#define ID "0123456789abcdef0123456789abcdef"
#define SEED "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw=="
#define DOCUMENT(hostname, id, user, time, seed) \
  "{\"hostname\": " hostname ", \"machine_id\": " id ", \"user\": " user ", \"time\": " time ", \"seed\": " seed "}"
#define GOOD DOCUMENT ("\"office-1\"", "\"" ID "\"", "\"alice\"", "1790000000.25", "\"" SEED "\"")

static void
a_good_document_is_read (void **state)
{
  UsherGuestDocument document;
  char error[USHER_GUEST_ERROR_SIZE] = "";
  assert_true (usher_guest_document_parse (GOOD, strlen (GOOD), &document, error));
  assert_string_equal (document.hostname, "office-1");
  assert_string_equal (document.machine_id, ID);
  assert_string_equal (document.user, "alice");
  assert_int_equal (document.time.tv_sec, 1790000000);
  assert_int_equal (document.time.tv_nsec, 250000000);
  for (int i = 0; i < USHER_GUEST_SEED_SIZE; i++)
    assert_int_equal (document.seed[i], i);
}

static void
texts_are_json (void **state)
{
  const char *text = DOCUMENT ("\"a\"", "\"" ID "\"", "\"\\u00e9\\ud83d\\ude00\\\"\\/\"", "1.79e9", "\"" SEED "\"");
  UsherGuestDocument document;
  char error[USHER_GUEST_ERROR_SIZE] = "";
  assert_true (usher_guest_document_parse (text, strlen (text), &document, error));
  assert_string_equal (document.user, "é😀\"/");
  assert_int_equal (document.time.tv_sec, 1790000000);
}

static void
the_user_alone_may_be_told (void **state)
{
  static const char text[] = "{\"user\": \"bob\", \"level\": 1}";
  UsherGuestDocument document;
  char error[USHER_GUEST_ERROR_SIZE] = "";
  assert_true (usher_guest_document_parse (text, strlen (text), &document, error));
  assert_true (document.user_only);
  assert_string_equal (document.user, "bob");
  assert_true (usher_guest_document_parse (GOOD, strlen (GOOD), &document, error));
  assert_false (document.user_only);
}

static void
members_of_a_newer_host_are_passed_over (void **state)
{
  const char *text = "{\"hostname\":\"a\",\"machine_id\":\"" ID "\",\"user\":\"\",\"time\":1790000000,\"seed\":\"" SEED
                     "\",\"domain\":\"example.org\",\"level\":-1.5e3,\"gone\":null}";
  UsherGuestDocument document;
  char error[USHER_GUEST_ERROR_SIZE] = "";
  assert_true (usher_guest_document_parse (text, strlen (text), &document, error));
  assert_string_equal (document.user, "");
}

static const struct {
  const char *text, *error;
} bad[] = {
  { "", "not a JSON object" },
  { "[]", "not a JSON object" },
  { "{\"hostname\"", "a member's name is expected" },
  { "{\"hostname\":\"a\" \"user\"", "',' or '}' is expected" },
  { "{}", "hostname: is missing" },
  { "{\"hostname\":\"a\",\"user\":\"\",\"time\":1790000000}", "machine_id: is missing" },
  { "{\"hostname\":\"a\",\"hostname\":\"b\"}", "hostname: is there twice" },
  { GOOD " x", "something follows" },
  { DOCUMENT ("7", "\"" ID "\"", "\"\"", "1790000000", "\"" SEED "\""), "hostname: must be" },
  { DOCUMENT ("\"-a\"", "\"" ID "\"", "\"\"", "1790000000", "\"" SEED "\""), "hostname: must be" },
  { DOCUMENT ("\"a.b\"", "\"" ID "\"", "\"\"", "1790000000", "\"" SEED "\""), "hostname: must be" },
  { DOCUMENT ("\"a\\u0000b\"", "\"" ID "\"", "\"\"", "1790000000", "\"" SEED "\""), "hostname: must be" },
  { DOCUMENT ("\"a\"", "\"0123\"", "\"\"", "1790000000", "\"" SEED "\""), "machine_id: must be" },
  { DOCUMENT ("\"a\"", "\"00000000000000000000000000000000\"", "\"\"", "1790000000", "\"" SEED "\""), "machine_id: must be" },
  { DOCUMENT ("\"a\"", "\"" ID "\"", "null", "1790000000", "\"" SEED "\""), "user: must be" },
  { DOCUMENT ("\"a\"", "\"" ID "\"", "\"x\\n\"", "1790000000", "\"" SEED "\""), "user: must be" },
  { DOCUMENT ("\"a\"", "\"" ID "\"", "\"\\ud800\"", "1790000000", "\"" SEED "\""), "user: must be a text" },
  { DOCUMENT ("\"a\"", "\"" ID "\"", "[]", "1790000000", "\"" SEED "\""), "user: must be a text" },
  { DOCUMENT ("\"a\"", "\"" ID "\"", "\"\"", "\"now\"", "\"" SEED "\""), "time: must be" },
  { DOCUMENT ("\"a\"", "\"" ID "\"", "\"\"", "0", "\"" SEED "\""), "time: must be" },
  { DOCUMENT ("\"a\"", "\"" ID "\"", "\"\"", "1e99", "\"" SEED "\""), "time: must be" },
  { DOCUMENT ("\"a\"", "\"" ID "\"", "\"\"", "1790000000", "\"AAAA\""), "seed: must be" },
  { DOCUMENT ("\"a\"", "\"" ID "\"", "\"\"", "1790000000", "\"!" SEED "\""), "seed: must be" },
};

static void
what_is_wrong_is_named (void **state)
{
  for (size_t i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      UsherGuestDocument document;
      char error[USHER_GUEST_ERROR_SIZE] = "";
      if (usher_guest_document_parse (bad[i].text, strlen (bad[i].text), &document, error) || strstr (error, bad[i].error) == NULL)
        fail_msg ("%s: \"%s\" instead of \"%s\"", bad[i].text, error, bad[i].error);
    }
}

/* No part of a good document is one: a truncated input is refused, wherever it ends. */
static void
a_part_is_refused (void **state)
{
  for (size_t length = 0; length < strlen (GOOD); length++)
    {
      UsherGuestDocument document;
      char error[USHER_GUEST_ERROR_SIZE] = "";
      g_autofree char *part = g_memdup2 (GOOD, length + 1); /* so that a sanitizer sees a step too far */
      assert_false (usher_guest_document_parse (part, length, &document, error));
      assert_true (*error != '\0');
    }
}

static void
ssh_keygen_reads_the_key (void **state)
{
  char private[USHER_SSH_KEY_SIZE], public[USHER_SSH_PUBLIC_SIZE], other[USHER_SSH_PUBLIC_SIZE];
  g_autofree char *folder = g_dir_make_tmp ("usher-ssh-key-XXXXXX", NULL);
  g_autofree char *file = g_build_filename (folder, "key", NULL);
  g_autofree char *out = NULL;
  usher_ssh_key_make ("root@office-1", private, other);
  usher_ssh_key_make ("root@office-1", private, public);
  assert_string_not_equal (public, other);
  assert_true (g_file_set_contents_full (file, private, -1, G_FILE_SET_CONTENTS_NONE, 0600, NULL));
  char *command[] = { "ssh-keygen", "-y", "-f", file, NULL };
  int status = -1;
  assert_true (g_spawn_sync (NULL, command, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &out, NULL, &status, NULL));
  assert_int_equal (status, 0);
  assert_string_equal (out, public);
  g_unlink (file);
  g_rmdir (folder);
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (a_good_document_is_read), cmocka_unit_test (texts_are_json),
    cmocka_unit_test (the_user_alone_may_be_told),
    cmocka_unit_test (members_of_a_newer_host_are_passed_over), cmocka_unit_test (what_is_wrong_is_named),
    cmocka_unit_test (a_part_is_refused), cmocka_unit_test (ssh_keygen_reads_the_key),
  };
  cmocka_set_message_output (CM_OUTPUT_TAP);
  return cmocka_run_group_tests (tests, NULL, NULL);
}
