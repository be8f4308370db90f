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

static const struct CMUnitTest clone_tests[] = {
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
