#include "broker/auth/connection.h"
#include "broker/auth/watchdog.h"
#include "common/error.h"
#include <string.h>
#include <sys/socket.h>

#define CAP_ACTIVE_DIRECTORY "1.2.840.113556.1.4.800"
#define CAP_LIGHTWEIGHT_DS "1.2.840.113556.1.4.1851"

typedef enum { KNOWS_UNASKED, KNOWS_YES, KNOWS_NO } Knows;

struct _UsherConnection {
  LDAP *ldap;
  const char *uri; /* setup's */
  guint operation_timeout_ms;
  gboolean tls; /* required: nothing secret goes out without it */
  gboolean broken;
  Knows in_chain;
};

void
usher_bind_answer_clear (UsherBindAnswer *answer)
{
  g_clear_pointer (&answer->diagnostic, g_free);
}

/* The server's or libldap's own words, short and printable. */
static char *
diagnostic (LDAP *ldap)
{
  char *text = NULL;
  char *result;

  if (ldap_get_option (ldap, LDAP_OPT_DIAGNOSTIC_MESSAGE, &text) != LDAP_OPT_SUCCESS || text == NULL)
    return g_strdup ("");
  result = g_utf8_make_valid (text, (gssize) strnlen (text, 300));
  ldap_memfree (text);
  return result;
}

static gboolean
fail (UsherConnection *connection, gboolean broken, const char *what, int code, GError **error)
{
  g_autofree char *more = diagnostic (connection->ldap);

  connection->broken = connection->broken || broken;
  g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "%s: %s: %s%s%s%s", connection->uri, what,
               ldap_err2string (code), *more != '\0' ? " (" : "", more, *more != '\0' ? ")" : "");
  return FALSE;
}

static gboolean
speaks (const UsherConnection *connection, const char *scheme)
{
  return g_ascii_strncasecmp (connection->uri, scheme, strlen (scheme)) == 0;
}

static struct timeval
to_timeval (gint64 us)
{
  return (struct timeval){ .tv_sec = us / G_USEC_PER_SEC, .tv_usec = us % G_USEC_PER_SEC };
}

static gint64
until (const UsherConnection *connection, gint64 deadline_us)
{
  return MIN (deadline_us, g_get_monotonic_time () + (gint64) connection->operation_timeout_ms * 1000);
}

/* Waits for the answer to `id`. On failure the connection is broken: a late answer must never be taken for
 * another question's. */
static gboolean
await (UsherConnection *connection, int id, const char *what, gint64 until_us, LDAPMessage **out, GError **error)
{
  gint64 left_us = MAX (until_us - g_get_monotonic_time (), 1);
  struct timeval wait = to_timeval (left_us);
  int code = LDAP_SERVER_DOWN;
  int type = ldap_result (connection->ldap, id, LDAP_MSG_ALL, &wait, out);

  if (type > 0)
    return TRUE;
  if (type == 0)
    return fail (connection, TRUE, what, LDAP_TIMEOUT, error);
  ldap_get_option (connection->ldap, LDAP_OPT_RESULT_CODE, &code);
  return fail (connection, TRUE, what, code, error);
}

/* The StartTLS operation (RFC 4511, 4.14): asks the server to expect a handshake. */
static gboolean
ask_for_tls (UsherConnection *connection, gint64 until_us, GError **error)
{
  g_autoptr (LDAPMessage) result = NULL;
  int id, code, answer = LDAP_OTHER;

  code = ldap_start_tls (connection->ldap, NULL, NULL, &id);
  if (code != LDAP_SUCCESS)
    return fail (connection, TRUE, "StartTLS", code, error);
  if (!await (connection, id, "StartTLS", until_us, &result, error))
    return FALSE;
  code = ldap_parse_result (connection->ldap, result, &answer, NULL, NULL, NULL, NULL, 0);
  if (code == LDAP_SUCCESS)
    code = answer;
  return code == LDAP_SUCCESS || fail (connection, TRUE, "StartTLS", code, error);
}

static gboolean
shake_hands (UsherConnection *connection, int fd, gint64 until_us, GError **error)
{
  UsherWatchdog *watchdog;
  int code;

  ldap_set_option (connection->ldap, LDAP_OPT_NETWORK_TIMEOUT, NULL);
  watchdog = usher_watchdog_new (fd, until_us);
  code = ldap_install_tls (connection->ldap);
  if (usher_watchdog_free (watchdog))
    code = LDAP_TIMEOUT;
  return code == LDAP_SUCCESS || fail (connection, TRUE, "TLS", code, error);
}

static gboolean
set_options (UsherConnection *connection, const UsherDirectorySetup *setup, gint64 timeout_us)
{
  const struct timeval timeout = to_timeval (timeout_us);
  const int version = LDAP_VERSION3, demand = LDAP_OPT_X_TLS_DEMAND, minimum = LDAP_OPT_X_TLS_PROTOCOL_TLS1_2;
  const int client = 0, idle_s = 60, probes = 3, interval_s = 10;
  const struct {
    int option;
    const void *value;
  } options[] = {
    { LDAP_OPT_PROTOCOL_VERSION, &version },
    { LDAP_OPT_REFERRALS, LDAP_OPT_OFF },
    { LDAP_OPT_RESTART, LDAP_OPT_ON },
    { LDAP_OPT_NETWORK_TIMEOUT, &timeout },
    { LDAP_OPT_X_KEEPALIVE_IDLE, &idle_s },
    { LDAP_OPT_X_KEEPALIVE_PROBES, &probes },
    { LDAP_OPT_X_KEEPALIVE_INTERVAL, &interval_s },
    { LDAP_OPT_X_TLS_CACERTFILE, setup->ca_file },
    { LDAP_OPT_X_TLS_REQUIRE_CERT, &demand },
    { LDAP_OPT_X_TLS_PROTOCOL_MIN, &minimum },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (options); i++)
    if (ldap_set_option (connection->ldap, options[i].option, options[i].value) != LDAP_OPT_SUCCESS)
      return FALSE;
  /* Builds the TLS context out of the options above: reads ca_file, so only where TLS will be spoken. */
  return !connection->tls ||
         ldap_set_option (connection->ldap, LDAP_OPT_X_TLS_NEWCTX, &client) == LDAP_OPT_SUCCESS;
}

/* What libldap is told to connect to. ldaps:// would make it shake hands at once and without a limit (see
 * watchdog.h), so it is told of a plain connection to that port and the handshake is ours to ask for. */
static char *
dup_plain_uri (const char *uri)
{
  LDAPURLDesc *url = NULL;
  char *result, *plain;

  if (ldap_url_parse (uri, &url) != LDAP_URL_SUCCESS || g_ascii_strcasecmp (url->lud_scheme, "ldaps") != 0) {
    g_clear_pointer (&url, ldap_free_urldesc);
    return g_strdup (uri);
  }
  ldap_memfree (url->lud_scheme);
  url->lud_scheme = ber_strdup ("ldap");
  url->lud_port = url->lud_port != 0 ? url->lud_port : LDAPS_PORT;
  plain = ldap_url_desc2str (url);
  result = g_strdup (plain);
  ldap_memfree (plain);
  ldap_free_urldesc (url);
  return result;
}

/* A server that stops in the middle of a message must not hold a read or a write for ever either. */
static void
limit_socket (int fd, gint64 limit_us)
{
  const struct timeval limit = to_timeval (limit_us);

  setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt (fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

/* Connects, with TLS where it is to be. */
static gboolean
reach (UsherConnection *connection, gint64 until_us, GError **error)
{
  int fd = -1, code = ldap_connect (connection->ldap);

  if (code == LDAP_SUCCESS && ldap_get_option (connection->ldap, LDAP_OPT_DESC, &fd) != LDAP_OPT_SUCCESS)
    code = LDAP_CONNECT_ERROR;
  if (code != LDAP_SUCCESS)
    return fail (connection, TRUE, "connect", code, error);
  if (connection->tls && speaks (connection, "ldap:") && !ask_for_tls (connection, until_us, error))
    return FALSE;
  if (connection->tls && !shake_hands (connection, fd, until_us, error))
    return FALSE;
  limit_socket (fd, (gint64) connection->operation_timeout_ms * 1000);
  return TRUE;
}

UsherConnection *
usher_connection_open (const UsherDirectorySetup *setup, guint server, gint64 deadline_us, GError **error)
{
  g_autoptr (UsherConnection) connection = g_new0 (UsherConnection, 1);
  g_autofree char *plain = dup_plain_uri (setup->servers[server]);
  gint64 now_us = g_get_monotonic_time ();
  gint64 until_us = MIN (deadline_us, now_us + (gint64) setup->connect_timeout_ms * 1000);
  int code;

  connection->uri = setup->servers[server];
  connection->operation_timeout_ms = setup->operation_timeout_ms;
  connection->tls = speaks (connection, "ldaps:") || (setup->starttls && speaks (connection, "ldap:"));
  code = ldap_initialize (&connection->ldap, plain);
  if (code != LDAP_SUCCESS) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "%s: %s", connection->uri, ldap_err2string (code));
    return NULL;
  }
  if (!set_options (connection, setup, MAX (until_us - now_us, 1000))) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "%s: TLS can't be set up with the authorities of %s",
                 connection->uri, setup->ca_file);
    return NULL;
  }
  return reach (connection, until_us, error) ? g_steal_pointer (&connection) : NULL;
}

/* The password policy's word in the response controls (draft-behera-ldap-password-policy-10, section 6.2). */
static int
policy_error (LDAP *ldap, LDAPControl **controls)
{
  LDAPPasswordPolicyError result = PP_noError;
  ber_int_t expire = -1, grace = -1;
  LDAPControl *control = ldap_control_find (LDAP_CONTROL_PASSWORDPOLICYRESPONSE, controls, NULL);

  if (control == NULL ||
      ldap_parse_passwordpolicy_control (ldap, control, &expire, &grace, &result) != LDAP_SUCCESS)
    return PP_noError;
  return (int) result;
}

gboolean
usher_connection_bind (UsherConnection *connection, const char *dn, const UsherSecret *password, gint64 deadline_us,
                       UsherBindAnswer *out_answer, GError **error)
{
  LDAPControl ask_policy = { .ldctl_oid = (char *) LDAP_CONTROL_PASSWORDPOLICYREQUEST, .ldctl_iscritical = 0 };
  LDAPControl *ask[] = { &ask_policy, NULL };
  LDAPControl **told = NULL;
  g_autoptr (LDAPMessage) result = NULL;
  struct berval credentials = { 0 };
  int id, code, answer = LDAP_OTHER;

  /* RFC 4513, 5.1.2: a DN with an empty password is "unauthenticated" and succeeds. Never ask that. */
  g_return_val_if_fail ((*dn == '\0') == (password == NULL), FALSE);
  if (password != NULL) {
    g_return_val_if_fail (usher_secret_length (password) > 0, FALSE);
    credentials.bv_val = (char *) usher_secret_peek (password);
    credentials.bv_len = usher_secret_length (password);
  }
  if (connection->tls && !ldap_tls_inplace (connection->ldap))
    return fail (connection, TRUE, "bind", LDAP_CONFIDENTIALITY_REQUIRED, error);
  code = ldap_sasl_bind (connection->ldap, dn, LDAP_SASL_SIMPLE, &credentials, ask, NULL, &id);
  if (code != LDAP_SUCCESS)
    return fail (connection, TRUE, "bind", code, error);
  if (!await (connection, id, "bind", until (connection, deadline_us), &result, error))
    return FALSE;
  code = ldap_parse_result (connection->ldap, result, &answer, NULL, NULL, NULL, &told, 0);
  if (code != LDAP_SUCCESS || answer < 0)
    return fail (connection, TRUE, "bind", code != LDAP_SUCCESS ? code : answer, error);
  out_answer->code = answer;
  out_answer->diagnostic = diagnostic (connection->ldap);
  out_answer->policy_error = policy_error (connection->ldap, told);
  ldap_controls_free (told);
  return TRUE;
}

/* Result codes of a search after which another server may do better. A base that is not there is one: a
 * replica may still be loading, and "nobody has that name" must not come from an empty server. */
static gboolean
is_servers_trouble (int code)
{
  static const int codes[] = { LDAP_BUSY,           LDAP_UNAVAILABLE,        LDAP_UNWILLING_TO_PERFORM,
                               LDAP_OTHER,          LDAP_OPERATIONS_ERROR,   LDAP_TIMELIMIT_EXCEEDED,
                               LDAP_NO_SUCH_OBJECT, LDAP_ADMINLIMIT_EXCEEDED, LDAP_STRONG_AUTH_REQUIRED,
                               LDAP_REFERRAL };

  for (gsize i = 0; i < G_N_ELEMENTS (codes); i++)
    if (code == codes[i])
      return TRUE;
  return code < 0;
}

gboolean
usher_connection_search (UsherConnection *connection, const char *base, int scope, const char *filter,
                         const char *const *attributes, int size_limit, gint64 deadline_us, LDAPMessage **out_entries,
                         gboolean *out_over, GError **error)
{
  g_autoptr (LDAPMessage) result = NULL;
  gint64 until_us = until (connection, deadline_us);
  struct timeval limit = { .tv_sec = 1 + connection->operation_timeout_ms / 1000 };
  int id, code, answer = LDAP_OTHER;

  code = ldap_search_ext (connection->ldap, base, scope, filter, (char **) attributes, 0, NULL, NULL, &limit,
                          size_limit, &id);
  if (code != LDAP_SUCCESS)
    return fail (connection, TRUE, "search", code, error);
  if (!await (connection, id, "search", until_us, &result, error))
    return FALSE;
  code = ldap_parse_result (connection->ldap, result, &answer, NULL, NULL, NULL, NULL, 0);
  if (code != LDAP_SUCCESS)
    return fail (connection, TRUE, "search", code, error);
  if (answer != LDAP_SUCCESS && !(answer == LDAP_SIZELIMIT_EXCEEDED && out_over != NULL)) {
    g_autofree char *what = g_strdup_printf ("search below \"%s\"", base);
    return fail (connection, is_servers_trouble (answer), what, answer, error);
  }
  if (out_over != NULL)
    *out_over = answer == LDAP_SIZELIMIT_EXCEEDED;
  *out_entries = g_steal_pointer (&result);
  return TRUE;
}

gboolean
usher_connection_knows_in_chain (UsherConnection *connection, gint64 deadline_us, gboolean *out_known, GError **error)
{
  static const char *const attributes[] = { "supportedCapabilities", NULL };
  g_autoptr (LDAPMessage) root = NULL;

  if (connection->in_chain == KNOWS_UNASKED) {
    struct berval **values;
    if (!usher_connection_search (connection, "", LDAP_SCOPE_BASE, "(objectClass=*)", attributes, 1, deadline_us, &root,
                                  NULL, error))
      return FALSE;
    connection->in_chain = KNOWS_NO;
    values = ldap_get_values_len (connection->ldap, root, attributes[0]);
    for (gsize i = 0; values != NULL && values[i] != NULL; i++)
      if (strcmp (values[i]->bv_val, CAP_ACTIVE_DIRECTORY) == 0 || strcmp (values[i]->bv_val, CAP_LIGHTWEIGHT_DS) == 0)
        connection->in_chain = KNOWS_YES;
    ldap_value_free_len (values);
  }
  *out_known = connection->in_chain == KNOWS_YES;
  return TRUE;
}

LDAP *
usher_connection_get_handle (UsherConnection *connection)
{
  return connection->ldap;
}

gboolean
usher_connection_is_broken (const UsherConnection *connection)
{
  return connection->broken;
}

void
usher_connection_free (UsherConnection *connection)
{
  if (connection == NULL)
    return;
  if (connection->ldap != NULL)
    ldap_unbind_ext (connection->ldap, NULL, NULL);
  g_free (connection);
}
