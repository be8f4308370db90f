#include "tests/integration/store/rig.h"

#include <glib/gstdio.h>
#include <stdio.h>
#include <unistd.h>

const UsherActor rig_admin = { "root", "192.0.2.1", "test" };

const char *
rig_owner (void)
{
  return g_getenv ("USHER_TEST_OWNER");
}

const char *
rig_broker (void)
{
  return g_getenv ("USHER_TEST_BROKER");
}

const char *
rig_super (void)
{
  return g_getenv ("USHER_TEST_SUPER");
}

static UsherConsoleKey *
rig_key (void)
{
  static UsherConsoleKey *key;
  static GMutex lock;
  g_mutex_lock (&lock);
  if (key == NULL)
    {
      g_autofree char *dir = g_dir_make_tmp ("usher-store-XXXXXX", NULL),
                      *file = g_build_filename (dir, "console.key", NULL);
      key = usher_console_key_open (dir, NULL);
      g_unlink (file);
      g_rmdir (dir);
    }
  g_mutex_unlock (&lock);
  assert_non_null (key);
  return key;
}

UsherStore *
rig_store (void)
{
  static gsize migrated;
  if (g_once_init_enter (&migrated))
    {
      g_autoptr (GError) error = NULL;
      if (!usher_store_migrate (rig_owner (), &error))
        fail_msg ("migrate: %s", error->message);
      g_once_init_leave (&migrated, 1);
    }
  return usher_store_new (rig_broker (), rig_key ());
}

char *
rig_sql (const char *conninfo, const char *sql)
{
  PGconn *connection = PQconnectdb (conninfo);
  PGresult *result = PQexec (connection, sql);
  ExecStatusType status = PQresultStatus (result);
  if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
    fail_msg ("%s: %s", sql, PQerrorMessage (connection));
  char *cell = g_strdup (PQntuples (result) > 0 ? PQgetvalue (result, 0, 0) : "");
  PQclear (result);
  PQfinish (connection);
  return cell;
}

gint64
rig_number (const char *sql)
{
  g_autofree char *cell = rig_sql (rig_super (), sql);
  return g_ascii_strtoll (cell, NULL, 10);
}

char *
rig_sqlstate (const char *conninfo, const char *sql)
{
  PGconn *connection = PQconnectdb (conninfo);
  PGresult *result = PQexec (connection, sql);
  const char *state = PQresultErrorField (result, PG_DIAG_SQLSTATE);
  char *copy = g_strdup (state != NULL ? state : "");
  PQclear (result);
  PQfinish (connection);
  return copy;
}

static json_t *
quoted (const char *text)
{
  g_autofree char *json = g_strdelimit (g_strdup (text), "'", '"');
  json_t *value = json_loads (json, 0, NULL);
  assert_non_null (value);
  return value;
}

void
rig_apply (UsherStore *store, UsherKind kind, const char *name, const char *spec)
{
  json_auto_t *value = quoted (spec), *record = NULL;
  rig_good (record = usher_store_apply (store, &rig_admin, kind, name, value, 0, NULL, &error));
}

void
rig_pool (UsherStore *store, guint spares, guint maximum)
{
  rig_pool_with (store, spares, maximum, "");
}

void
rig_pool_with (UsherStore *store, guint spares, guint maximum, const char *more)
{
  g_autofree char *spec
      = g_strdup_printf ("{'display_name': 'Office', 'template': 'tiny', 'spares': %u, 'maximum': %u, 'vcpus': 1, "
                         "'ram_mib': 256, 'naming': 'office-{n}'%s}",
                         spares, maximum, more);
  rig_apply (store, USHER_KIND_TEMPLATE, "tiny", "{'version': 1}");
  rig_apply (store, USHER_KIND_POOL, "office", spec);
  rig_apply (store, USHER_KIND_ENTITLEMENT, "staff-office", "{'pool': 'office', 'group': 'Staff'}");
}

void
rig_person (UsherStore *store, const char *user, const char *group, char out_person[USHER_ID_SIZE])
{
  g_autofree char *dn = g_strdup_printf ("cn=%s,ou=groups,dc=example", group);
  char *groups[] = { dn, NULL }, *names[] = { (char *) group, NULL }, token[USHER_TOKEN_SIZE];
  UsherPerson person = { (char *) user, (char *) "uid=x", (char *) user, (char *) "", groups, names, NULL };
  UsherActor actor = { user, "192.0.2.7", NULL };
  rig_good (usher_store_sign_in_done (store, user, &person, &actor, 3600, token, &error));
  g_autoptr (UsherSignedIn) found = usher_store_find_signed_in (store, token, NULL);
  assert_non_null (found);
  assert_string_equal (found->user, user);
  if (out_person != NULL)
    g_strlcpy (out_person, found->person, USHER_ID_SIZE);
}

UsherSyncRequest *
rig_report (UsherStore *store)
{
  UsherSyncRequest *request = usher_sync_request_new ();
  char deployment[USHER_ID_SIZE];
  rig_good (usher_store_get_deployment (store, deployment, &error));
  request->deployment = g_strdup (deployment);
  request->name = g_strdup ("kvm");
  request->version = g_strdup ("0.1.0");
  request->domain_type = g_strdup ("test");
  request->door = g_strdup ("unix:/run/door.sock");
  request->cpus = 8;
  request->memory_mib = request->memory_free_mib = 4000000;
  request->disk_free_mib = 4000000;
  request->templates = g_strsplit ("tiny/1", ",", -1);
  return request;
}

void
rig_report_add (UsherSyncRequest *request, const char *id, UsherSeenState state, const char *reason)
{
  UsherSeenDesktop *seen = g_new0 (UsherSeenDesktop, 1);
  g_strlcpy (seen->id, id, USHER_ID_SIZE);
  seen->state = state;
  seen->reason = g_strdup (reason);
  g_ptr_array_add (request->desktops, seen);
}

void
rig_host (UsherStore *store, const char *name, char out_host[USHER_ID_SIZE])
{
  char token[USHER_TOKEN_SIZE];
  g_autofree char *fingerprint = g_strdup_printf ("fingerprint-of-%s", name);
  rig_good (usher_store_join_token (store, &rig_admin, name, 600, token, &error));
  rig_good (usher_store_join_check (store, token, name, out_host, &error));
  rig_good (usher_store_join_use (store, &rig_admin, token, name, fingerprint, &error));
  g_autoptr (UsherSyncRequest) request = rig_report (store);
  rig_good (usher_store_seen (store, out_host, request, &error));
}

void
rig_work (UsherStore *store)
{
  guint placed, left;
  g_auto (GStrv) pools = usher_work_list_pools (store, NULL);
  assert_non_null (pools);
  for (gsize i = 0; pools[i] != NULL; i++)
    {
      guint again_s = 0;
      rig_good (usher_work_on_pool (store, pools[i], usher_pool_plan, &again_s, &error));
    }
  rig_good (usher_work_drop_unplaced (store, &error));
  rig_good (usher_work_place (store, usher_placement_choose, &placed, &left, &error));
}

guint
rig_obey (UsherStore *store, const char *host, UsherSeenState state)
{
  g_autoptr (UsherSyncAnswer) answer = NULL;
  g_autoptr (UsherSyncRequest) request = rig_report (store);
  rig_good (usher_store_wanted (store, host, NULL, 0, &answer, &error));
  for (guint i = 0; i < answer->desktops->len; i++)
    {
      const UsherWantedDesktop *wanted = answer->desktops->pdata[i];
      rig_report_add (request, wanted->id, wanted->wanted == USHER_WANTED_GONE ? USHER_SEEN_ABSENT : state, "");
      UsherSeenDesktop *seen = request->desktops->pdata[request->desktops->len - 1];
      seen->console_revision = wanted->console_revision;
      seen->restart_revision = wanted->restart_revision;
      seen->system_revision = wanted->system_revision;
      seen->clone = wanted->clone;
      seen->starts = 1;
    }
  rig_good (usher_store_seen (store, host, request, &error));
  return answer->desktops->len;
}

void
rig_ask (const char *what)
{
  char line[64];
  printf ("@%s\n", what);
  fflush (stdout);
  if (fgets (line, sizeof line, stdin) == NULL)
    fail_msg ("nobody does «%s»", what);
}
