#include "hostd/join/join.h"

#include <glib/gstdio.h>
#include <libsoup/soup.h>
#include <string.h>

#include "common/error.h"
#include "common/id.h"
#include "common/json.h"
#include "common/pki.h"
#include "common/rpc/grant.h"
#include "hostd/identity.h"
#include "hostd/settings.h"

#define JOIN_PATH "/api/v1/hosts/join"
#define TIMEOUT_S 30
#define ANSWER_MAX 262144

/* What a join is about to keep. */
typedef struct {
  UsherHostIdentity *identity;
  const char *certificate, *ca, *grant_key; /* borrowed from the answer */
} Credentials;

/* The connection as the handshake left it. */
typedef struct {
  const char *ca_hash;
  GSocketConnectable *server;
  GTlsCertificate *presented; /* let pass, to be verified later; NULL: verified */
} Trust;

const char *
usher_join_token_hash (const char *token)
{
  const char *dot = strchr (token, '.');
  if (dot == NULL || dot == token || strlen (dot + 1) != USHER_FINGERPRINT_SIZE - 1
      || strspn (dot + 1, "0123456789abcdef") != USHER_FINGERPRINT_SIZE - 1)
    return NULL;
  return dot + 1;
}

static gboolean
refused (GError **error, const char *message)
{
  g_set_error_literal (error, USHER_ERROR, USHER_ERROR_REFUSED, message);
  return FALSE;
}

/* Whether `pem` is the CA that the token speaks of. */
static gboolean
is_the_ca (const char *pem, const char *hash)
{
  char found[USHER_FINGERPRINT_SIZE];
  return usher_certificate_pem_hash (pem, found, NULL) && g_str_equal (found, hash);
}

/* ---- the handshake ---- */

/* The certificate of the presented chain that has the token's hash; borrowed, NULL when there is none. */
static GTlsCertificate *
find_ca (GTlsCertificate *chain, const char *hash)
{
  for (GTlsCertificate *one = chain; one != NULL; one = g_tls_certificate_get_issuer (one))
    {
      g_autofree char *pem = NULL;
      g_object_get (one, "certificate-pem", &pem, NULL);
      if (pem != NULL && is_the_ca (pem, hash))
        return one;
    }
  return NULL;
}

static gboolean
on_certificate (SoupMessage *message, GTlsCertificate *certificate, GTlsCertificateFlags problems, gpointer user_data)
{
  Trust *trust = user_data;
  GTlsCertificate *ca = find_ca (certificate, trust->ca_hash);
  if (ca != NULL)
    return g_tls_certificate_verify (certificate, trust->server, ca) == 0;
  g_set_object (&trust->presented, certificate);
  return TRUE;
}

/* Verifies afterwards what was let pass. */
static gboolean
verify_presented (const Trust *trust, const char *ca_pem, GError **error)
{
  g_autoptr (GTlsCertificate) ca = g_tls_certificate_new_from_pem (ca_pem, -1, NULL);
  if (trust->presented == NULL
      || (ca != NULL && g_tls_certificate_verify (trust->presented, trust->server, ca) == 0))
    return TRUE;
  return refused (error, "what answered is not of the token's deployment: the token may be in the wrong hands, revoke it");
}

/* ---- the request ---- */

static SoupSession *
make_session (const UsherJoin *join, GError **error)
{
  if (join->ca == NULL)
    return soup_session_new_with_options ("timeout", TIMEOUT_S, "proxy-resolver", NULL, NULL);
  g_autofree char *pem = NULL;
  g_autoptr (GError) problem = NULL;
  g_autoptr (GTlsDatabase) trusted = NULL;
  if (g_file_get_contents (join->ca, &pem, NULL, &problem))
    trusted = g_tls_file_database_new (join->ca, &problem);
  if (trusted == NULL)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "%s: %s", join->ca, problem->message);
      return NULL;
    }
  if (!is_the_ca (pem, usher_join_token_hash (usher_secret_peek (join->token))))
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_REFUSED, "%s: is not the CA that the token speaks of", join->ca);
      return NULL;
    }
  return soup_session_new_with_options ("timeout", TIMEOUT_S, "tls-database", trusted, "proxy-resolver", NULL, NULL);
}

static json_t *
read_answer (SoupMessage *message, GBytes *body, GError **error)
{
  gsize length;
  const char *text = g_bytes_get_data (body, &length);
  guint status = soup_message_get_status (message);
  if (length > ANSWER_MAX)
    {
      refused (error, "the answer is too large");
      return NULL;
    }
  json_t *json = usher_json_parse (text, length, "the answer", status == SOUP_STATUS_OK ? error : NULL);
  if (status == SOUP_STATUS_OK)
    return json;
  const char *said = usher_json_string (json_object_get (json, "error"), "message");
  g_set_error (error, USHER_ERROR, status >= 500 ? USHER_ERROR_UNAVAILABLE : USHER_ERROR_REFUSED, "the broker answers %u: %s", status,
               *said != '\0' ? said : soup_message_get_reason_phrase (message));
  json_decref (json);
  return NULL;
}

/* Asks to join, with trust as far as the handshake can give it. */
static json_t *
ask (const UsherJoin *join, const char *name, const char *csr, Trust *trust, GError **error)
{
  g_autoptr (GError) problem = NULL;
  g_autoptr (GUri) base = g_uri_parse (join->broker, SOUP_HTTP_URI_FLAGS, &problem);
  if (base == NULL || !g_str_equal (g_uri_get_scheme (base), "https"))
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "--broker %s: must be https://HOST:PORT", join->broker);
      return NULL;
    }
  g_autoptr (SoupSession) session = make_session (join, error);
  if (session == NULL)
    return NULL;
  g_autoptr (GUri) uri = g_uri_parse_relative (base, JOIN_PATH, SOUP_HTTP_URI_FLAGS, NULL);
  g_autoptr (SoupMessage) message = soup_message_new_from_uri (SOUP_METHOD_POST, uri);
  trust->server = g_network_address_new (g_uri_get_host (base), (guint16) MAX (g_uri_get_port (base), 0));
  if (join->ca == NULL)
    g_signal_connect (message, "accept-certificate", G_CALLBACK (on_certificate), trust);
  json_auto_t *json = json_pack ("{s:s, s:s, s:s}", "token", usher_secret_peek (join->token), "name", name, "csr", csr);
  char *line = usher_json_to_line (json);
  g_autoptr (GBytes) body = g_bytes_new (line, strlen (line));
  explicit_bzero (line, strlen (line));
  g_free (line);
  soup_message_set_request_body_from_bytes (message, "application/json", body);
  g_autoptr (GBytes) answer = soup_session_send_and_read (session, message, NULL, &problem);
  if (answer == NULL)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "%s: %s", join->broker, problem->message);
      return NULL;
    }
  return read_answer (message, answer, error);
}

/* ---- the answer ---- */

/* Our key and the certificate must belong together, and that must be the CA's word. */
static gboolean
check_certificate (const Credentials *credentials, const char *key_pem, GError **error)
{
  char fingerprint[USHER_FINGERPRINT_SIZE];
  g_autofree char *common_name = NULL;
  if (!usher_certificate_identify (credentials->certificate, fingerprint, &common_name, error))
    return FALSE;
  g_autofree char *pair = g_strconcat (credentials->certificate, "\n", key_pem, NULL);
  g_autoptr (GTlsCertificate) ours = g_tls_certificate_new_from_pem (pair, -1, NULL);
  g_autoptr (GTlsCertificate) ca = g_tls_certificate_new_from_pem (credentials->ca, -1, NULL);
  explicit_bzero (pair, strlen (pair));
  if (!g_str_equal (common_name, credentials->identity->host) || ours == NULL || ca == NULL
      || g_tls_certificate_verify (ours, NULL, ca) != 0)
    return refused (error, "the certificate that came is not the CA's word for this host and this key: the token may be in the wrong "
                           "hands, revoke it");
  return TRUE;
}

static gboolean
read_credentials (const json_t *answer, const char *ca_hash, Credentials *out, GError **error)
{
  UsherJson at = { answer, "join" };
  unsigned char key[USHER_GRANT_PUBLIC_KEY_SIZE];
  out->identity = g_new0 (UsherHostIdentity, 1);
  if (!usher_json_get_id (at, "host", out->identity->host, error)
      || !usher_json_dup_string (at, "deployment", &out->identity->deployment, error)
      || !usher_json_dup_string (at, "sync_url", &out->identity->sync_url, error)
      || !usher_json_get_string (at, "certificate", &out->certificate, error) || !usher_json_get_string (at, "ca", &out->ca, error)
      || !usher_json_get_string (at, "grant_key", &out->grant_key, error)
      || !usher_grant_public_key_parse (out->grant_key, key, error))
    return FALSE;
  if (!g_str_has_prefix (out->identity->sync_url, "https://"))
    return refused (error, "the sync address that came does not begin with https://");
  return is_the_ca (out->ca, ca_hash)
         || refused (error, "the CA that came is not the one the token speaks of: nothing was kept");
}

static gboolean
write_file (const UsherSettings *settings, const char *key, const char *text, int mode, GError **error)
{
  const char *path = usher_settings_get_string (settings, "broker", key);
  g_autofree char *dir = g_path_get_dirname (path);
  g_autoptr (GError) problem = NULL;
  g_mkdir_with_parents (dir, 0755);
  if (g_file_set_contents_full (path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE, mode, &problem))
    return TRUE;
  g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "%s", problem->message);
  return FALSE;
}

static gboolean
keep (const UsherSettings *settings, const Credentials *credentials, const char *key_pem, GError **error)
{
  return write_file (settings, "key", key_pem, 0600, error)
         && write_file (settings, "certificate", credentials->certificate, 0644, error)
         && write_file (settings, "ca", credentials->ca, 0644, error)
         && write_file (settings, "grant_key", credentials->grant_key, 0644, error)
         && usher_host_identity_write (credentials->identity, usher_settings_get_string (settings, "broker", "identity"), error);
}

static gboolean
join_with_key (const UsherSettings *settings, const UsherJoin *join, const char *key_pem, const char *csr, GError **error)
{
  Trust trust = { .ca_hash = usher_join_token_hash (usher_secret_peek (join->token)) };
  Credentials credentials = { 0 };
  json_auto_t *answer = ask (join, usher_hostd_settings_name (settings), csr, &trust, error);
  gboolean joined = answer != NULL && read_credentials (answer, trust.ca_hash, &credentials, error)
                    && verify_presented (&trust, credentials.ca, error) && check_certificate (&credentials, key_pem, error)
                    && keep (settings, &credentials, key_pem, error);
  g_clear_object (&trust.server);
  g_clear_object (&trust.presented);
  g_clear_pointer (&credentials.identity, usher_host_identity_free);
  return joined;
}

gboolean
usher_join (const UsherSettings *settings, const UsherJoin *join, gboolean *out_already, GError **error)
{
  g_autoptr (UsherHostIdentity) before = usher_host_identity_read (usher_settings_get_string (settings, "broker", "identity"), NULL);
  char *key = NULL, *csr = NULL;
  *out_already = before != NULL;
  if (before != NULL)
    return TRUE;
  if (usher_join_token_hash (usher_secret_peek (join->token)) == NULL)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "the token is not of the form SECRET.HASH");
      return FALSE;
    }
  if (!usher_csr_new (usher_hostd_settings_name (settings), &key, &csr, error))
    return FALSE;
  gboolean joined = join_with_key (settings, join, key, csr, error);
  explicit_bzero (key, strlen (key));
  g_free (key);
  g_free (csr);
  return joined;
}
