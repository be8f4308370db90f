/* People for `./bench signin`: each opens a TLS connection of their own to the gateway, from an address of their
 * own, signs in, connects to a pool, and leaves. So many at once as there are threads, over and over.
 *
 *     people PORT CA-FILE POOL SECONDS THREADS < "NAME<TAB>PASSWORD" lines
 *
 * Prints one line of JSON: operations (both answers were 200), seconds, failures by what was answered, and the
 * milliseconds of the middle and of the slowest twentieth. */
#include <arpa/inet.h>
#include <glib.h>
#include <jansson.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANSWER_LIMIT 65536

static guint16 port;
static const char *pool;
static SSL_CTX *tls;
static char **people; /* "NAME\tPASSWORD" */
static guint people_count;
static gint64 until_us;

typedef struct {
  guint first, step;
  guint64 done;
  GHashTable *failures; /* text → count */
  GArray *ms;           /* double */
} Worker;

typedef struct {
  int status;
  char cookie[64];
} Answer;

/* A connection from 127.X.Y.Z, X not 0: the gateway sees another address for each person. */
static int
dial (guint number)
{
  int fd = socket (AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  struct sockaddr_in from = { .sin_family = AF_INET, .sin_addr.s_addr = htonl (0x7F010000u + 1 + number % 60000) };
  struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons (port), .sin_addr.s_addr = htonl (INADDR_LOOPBACK) };

  setsockopt (fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt (fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  if (bind (fd, (struct sockaddr *) &from, sizeof from) == 0 && connect (fd, (struct sockaddr *) &to, sizeof to) == 0)
    return fd;
  close (fd);
  return -1;
}

static gboolean
read_answer (SSL *ssl, Answer *out)
{
  static _Thread_local char text[ANSWER_LIMIT + 1];
  int length = 0;
  gsize wanted = 0;

  while (wanted == 0 || (gsize) length < wanted) {
    int got = SSL_read (ssl, text + length, ANSWER_LIMIT - length);
    if (got <= 0)
      return FALSE;
    length += got;
    text[length] = '\0';
    char *end = strstr (text, "\r\n\r\n");
    if (end != NULL && wanted == 0) {
      const char *size = strcasestr (text, "\r\nContent-Length:");
      wanted = (gsize) (end + 4 - text) + (size != NULL && size < end ? strtoul (size + 17, NULL, 10) : 0);
    }
  }
  out->status = atoi (text + strlen ("HTTP/1.1 "));
  const char *cookie = strcasestr (text, "\r\nSet-Cookie: usher_session=");
  if (cookie != NULL)
    g_strlcpy (out->cookie, cookie + 2 + strlen ("Set-Cookie: usher_session="), 44);
  return TRUE;
}

static gboolean
ask (SSL *ssl, const char *path, const char *body, Answer *answer)
{
  g_autofree char *request = g_strdup_printf ("POST /api/v1%s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nContent-Type: application/json\r\n"
                                              "%s%s%sContent-Length: %zu\r\n\r\n%s",
                                              path, port, *answer->cookie != '\0' ? "Cookie: usher_session=" : "",
                                              answer->cookie, *answer->cookie != '\0' ? "\r\n" : "", strlen (body), body);
  return SSL_write (ssl, request, (int) strlen (request)) > 0 && read_answer (ssl, answer);
}

/* What went wrong, or NULL. */
static char *
sign_in_and_connect (SSL *ssl, char **person)
{
  Answer answer = { 0 };
  g_autofree char *credentials = g_strdup_printf ("{\"user\":\"%s\",\"password\":\"%s\"}", person[0], person[1]);
  g_autofree char *path = g_strdup_printf ("/pools/%s/connect", pool);

  if (SSL_connect (ssl) != 1)
    return g_strdup ("TLS");
  if (!ask (ssl, "/signin", credentials, &answer))
    return g_strdup ("signin: no answer");
  if (answer.status != 200)
    return g_strdup_printf ("signin: %d", answer.status);
  if (!ask (ssl, path, "{\"client\":\"browser\"}", &answer))
    return g_strdup ("connect: no answer");
  return answer.status == 200 ? NULL : g_strdup_printf ("connect: %d", answer.status);
}

static void
one (Worker *worker, guint number)
{
  g_auto (GStrv) person = g_strsplit (people[number % people_count], "\t", 2);
  gint64 begun_us = g_get_monotonic_time ();
  int fd = dial (number);
  SSL *ssl = SSL_new (tls);
  g_autofree char *failure = NULL;

  SSL_set_fd (ssl, fd);
  failure = fd >= 0 ? sign_in_and_connect (ssl, person) : g_strdup ("TCP");
  if (failure == NULL) {
    double ms = (double) (g_get_monotonic_time () - begun_us) / 1000;
    worker->done++;
    g_array_append_val (worker->ms, ms);
  } else {
    guint count = GPOINTER_TO_UINT (g_hash_table_lookup (worker->failures, failure));
    g_hash_table_insert (worker->failures, g_steal_pointer (&failure), GUINT_TO_POINTER (count + 1));
  }
  SSL_free (ssl);
  if (fd >= 0)
    close (fd);
}

static gpointer
work (gpointer data)
{
  Worker *worker = data;

  for (guint number = worker->first; g_get_monotonic_time () < until_us; number += worker->step)
    one (worker, number);
  return NULL;
}

static int
compare (gconstpointer a, gconstpointer b)
{
  double x = *(const double *) a, y = *(const double *) b;
  return x < y ? -1 : x > y;
}

static void
report (Worker *workers, guint count, double seconds)
{
  json_t *failures = json_object ();
  g_autoptr (GArray) ms = g_array_new (FALSE, FALSE, sizeof (double));
  json_int_t done = 0;

  for (guint i = 0; i < count; i++) {
    GHashTableIter iter;
    gpointer what, number;
    done += (json_int_t) workers[i].done;
    g_array_append_vals (ms, workers[i].ms->data, workers[i].ms->len);
    g_hash_table_iter_init (&iter, workers[i].failures);
    while (g_hash_table_iter_next (&iter, &what, &number))
      json_object_set_new (failures, what,
                           json_integer (json_integer_value (json_object_get (failures, what)) + GPOINTER_TO_UINT (number)));
  }
  g_array_sort (ms, compare);
  json_t *result = json_pack ("{s:I, s:f, s:o, s:f, s:f}", "operations", done, "seconds", seconds, "failures", failures,
                              "median_ms", ms->len > 0 ? g_array_index (ms, double, ms->len / 2) : 0.0, "p95_ms",
                              ms->len > 0 ? g_array_index (ms, double, ms->len * 95 / 100) : 0.0);
  json_dumpf (result, stdout, JSON_COMPACT);
  putchar ('\n');
  json_decref (result);
}

static char **
read_lines (void)
{
  GPtrArray *lines = g_ptr_array_new ();
  char line[1024];

  while (fgets (line, sizeof line, stdin) != NULL)
    g_ptr_array_add (lines, g_strndup (line, strcspn (line, "\n")));
  people_count = lines->len;
  g_ptr_array_add (lines, NULL);
  return (char **) g_ptr_array_free (lines, FALSE);
}

int
main (int argc, char **argv)
{
  if (argc != 6) {
    fputs ("usage: people PORT CA-FILE POOL SECONDS THREADS\n", stderr);
    return 2;
  }
  port = (guint16) atoi (argv[1]);
  pool = argv[3];
  tls = SSL_CTX_new (TLS_client_method ());
  SSL_CTX_set_verify (tls, SSL_VERIFY_PEER, NULL);
  if (SSL_CTX_load_verify_locations (tls, argv[2], NULL) != 1) {
    fprintf (stderr, "people: %s can't be read\n", argv[2]);
    return 2;
  }
  people = read_lines ();
  guint threads = (guint) atoi (argv[5]);
  g_autofree Worker *workers = g_new0 (Worker, threads);
  g_autofree GThread **running = g_new0 (GThread *, threads);
  gint64 begun_us = g_get_monotonic_time ();
  until_us = begun_us + (gint64) (atof (argv[4]) * G_USEC_PER_SEC);
  for (guint i = 0; i < threads; i++) {
    workers[i] = (Worker){ .first = i, .step = threads };
    workers[i].failures = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
    workers[i].ms = g_array_new (FALSE, FALSE, sizeof (double));
    running[i] = g_thread_new ("person", work, &workers[i]);
  }
  for (guint i = 0; i < threads; i++)
    g_thread_join (running[i]);
  report (workers, threads, (double) (g_get_monotonic_time () - begun_us) / G_USEC_PER_SEC);
  return 0;
}
