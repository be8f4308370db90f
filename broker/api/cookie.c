#include "broker/api/cookie.h"
#include <string.h>

gboolean
usher_cookie_find (const char *header, char out[USHER_TOKEN_SIZE])
{
  if (header == NULL)
    return FALSE;
  g_auto (GStrv) pairs = g_strsplit (header, ";", 100);
  const char *found = NULL;
  for (guint i = 0; pairs[i] != NULL; i++) {
    const char *pair = g_strstrip (pairs[i]);
    if (!g_str_has_prefix (pair, USHER_COOKIE_NAME "="))
      continue;
    if (found != NULL)
      return FALSE;
    found = pair + strlen (USHER_COOKIE_NAME "=");
  }
  if (found == NULL || !usher_token_is_valid (found))
    return FALSE;
  g_strlcpy (out, found, USHER_TOKEN_SIZE);
  return TRUE;
}

char *
usher_cookie_format (const char *token, gint64 max_age_s)
{
  return g_strdup_printf (USHER_COOKIE_NAME "=%s; Path=/; HttpOnly; Secure; SameSite=Strict; Max-Age=%" G_GINT64_FORMAT,
                          token != NULL ? token : "", max_age_s);
}

char *
usher_origin_of (const char *url)
{
  if (url == NULL)
    return NULL;
  g_autoptr (GUri) uri = g_uri_parse (url, G_URI_FLAGS_NONE, NULL);
  if (uri == NULL || g_uri_get_host (uri) == NULL || g_uri_get_host (uri)[0] == '\0')
    return NULL;
  const char *scheme = g_uri_get_scheme (uri);
  gboolean secure = g_ascii_strcasecmp (scheme, "https") == 0;
  if (!secure && g_ascii_strcasecmp (scheme, "http") != 0)
    return NULL;
  int port = g_uri_get_port (uri);
  gboolean v6 = strchr (g_uri_get_host (uri), ':') != NULL;
  g_autofree char *host = g_ascii_strdown (g_uri_get_host (uri), -1);
  g_autofree char *base = g_strdup_printf (v6 ? "%s://[%s]" : "%s://%s", secure ? "https" : "http", host);
  if (port <= 0 || port == (secure ? 443 : 80))
    return g_steal_pointer (&base);
  return g_strdup_printf ("%s:%d", base, port);
}

gboolean
usher_origin_allowed (const char *origin, const char *public_origin)
{
  if (origin == NULL)
    return TRUE;
  g_autofree char *theirs = usher_origin_of (origin);
  return theirs != NULL && g_str_equal (theirs, public_origin);
}
