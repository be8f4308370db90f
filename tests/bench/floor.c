/* The raw floors of `./bench signin`: one thing over and over, on connections that are kept, and nothing else.
 *
 *     floor bind URI SECONDS THREADS < "DN<TAB>PASSWORD" lines    simple binds by libldap
 *     floor commit CONNINFO SECONDS THREADS                       one-row transactions by libpq
 *
 * Prints operations, seconds and failures on one line. */
#include <glib.h>
#include <ldap.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  const char *target;
  char **accounts; /* "DN\tPASSWORD" */
  guint first;     /* which account this thread begins with */
  gint64 until_us;
  guint64 done, failed;
} Worker;

static gpointer
bind_over_and_over (gpointer data)
{
  Worker *worker = data;
  LDAP *ldap = NULL;
  const int version = LDAP_VERSION3;
  guint count = g_strv_length (worker->accounts);

  if (ldap_initialize (&ldap, worker->target) != LDAP_SUCCESS)
    return NULL;
  ldap_set_option (ldap, LDAP_OPT_PROTOCOL_VERSION, &version);
  for (guint i = worker->first; g_get_monotonic_time () < worker->until_us; i++) {
    g_auto (GStrv) account = g_strsplit (worker->accounts[i % count], "\t", 2);
    struct berval password = { .bv_val = account[1], .bv_len = strlen (account[1]) };
    gboolean good = ldap_sasl_bind_s (ldap, account[0], LDAP_SASL_SIMPLE, &password, NULL, NULL, NULL) == LDAP_SUCCESS;
    *(good ? &worker->done : &worker->failed) += 1;
  }
  ldap_unbind_ext (ldap, NULL, NULL);
  return NULL;
}

static gpointer
commit_over_and_over (gpointer data)
{
  Worker *worker = data;
  PGconn *connection = PQconnectdb (worker->target);

  while (g_get_monotonic_time () < worker->until_us) {
    PGresult *result = PQexec (connection, "insert into bench_commit (what) values ('one')");
    gboolean good = PQresultStatus (result) == PGRES_COMMAND_OK;
    *(good ? &worker->done : &worker->failed) += 1;
    PQclear (result);
    if (!good)
      fprintf (stderr, "floor: %s", PQerrorMessage (connection));
    if (PQstatus (connection) != CONNECTION_OK)
      break;
  }
  PQfinish (connection);
  return NULL;
}

static char **
read_lines (void)
{
  GPtrArray *lines = g_ptr_array_new ();
  char line[1024];

  while (fgets (line, sizeof line, stdin) != NULL)
    g_ptr_array_add (lines, g_strndup (line, strcspn (line, "\n")));
  g_ptr_array_add (lines, NULL);
  return (char **) g_ptr_array_free (lines, FALSE);
}

int
main (int argc, char **argv)
{
  gboolean binds = argc == 5 && strcmp (argv[1], "bind") == 0;
  guint64 done = 0, failed = 0;

  if (!binds && !(argc == 5 && strcmp (argv[1], "commit") == 0)) {
    fputs ("usage: floor bind|commit TARGET SECONDS THREADS\n", stderr);
    return 2;
  }
  guint threads = (guint) atoi (argv[4]);
  g_auto (GStrv) accounts = binds ? read_lines () : NULL;
  g_autofree Worker *workers = g_new0 (Worker, threads);
  g_autofree GThread **running = g_new0 (GThread *, threads);
  gint64 begun_us = g_get_monotonic_time ();
  for (guint i = 0; i < threads; i++) {
    workers[i] = (Worker){ .target = argv[2], .accounts = accounts, .first = i * 7,
                           .until_us = begun_us + (gint64) (atof (argv[3]) * G_USEC_PER_SEC) };
    running[i] = g_thread_new ("floor", binds ? bind_over_and_over : commit_over_and_over, &workers[i]);
  }
  for (guint i = 0; i < threads; i++) {
    g_thread_join (running[i]);
    done += workers[i].done;
    failed += workers[i].failed;
  }
  printf ("%" G_GUINT64_FORMAT " %.3f %" G_GUINT64_FORMAT "\n", done,
          (double) (g_get_monotonic_time () - begun_us) / G_USEC_PER_SEC, failed);
  return 0;
}
