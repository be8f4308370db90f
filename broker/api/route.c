#include "broker/api/route.h"
#include <string.h>
#include "common/error.h"

static gboolean
is_parameter (const char *segment)
{
  return segment[0] == '{';
}

static gboolean
takes_rest (const char *segment)
{
  return is_parameter (segment) && g_str_has_suffix (segment, "...}");
}

/* Whether the decoded `segments` fit `pattern`; collects the parameters' values (borrowed) in `values`. */
static gboolean
fits (const char *pattern, char *const *segments, GPtrArray *values)
{
  g_auto (GStrv) wanted = g_strsplit (pattern + 1, "/", -1);
  g_ptr_array_set_size (values, 0);
  guint i = 0;
  for (; wanted[i] != NULL; i++) {
    if (takes_rest (wanted[i])) {
      g_ptr_array_add (values, g_strjoinv ("/", (char **) segments + i));
      return TRUE;
    }
    if (segments[i] == NULL || segments[i][0] == '\0')
      return FALSE;
    if (is_parameter (wanted[i]))
      g_ptr_array_add (values, g_strdup (segments[i]));
    else if (!g_str_equal (wanted[i], segments[i]))
      return FALSE;
  }
  return segments[i] == NULL;
}

static gboolean
is_plain_text (const char *text)
{
  if (!g_utf8_validate (text, -1, NULL))
    return FALSE;
  for (const char *c = text; *c != '\0'; c++)
    if (g_ascii_iscntrl (*c))
      return FALSE;
  return TRUE;
}

/* The path's segments decoded one by one, so that %2F stays inside its segment; NULL when malformed. */
static char **
decode (const char *path, GError **error)
{
  if (path == NULL || path[0] != '/')
    return g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "path: must begin with '/'"), NULL;
  g_auto (GStrv) raw = g_strsplit (path + 1, "/", -1);
  g_autoptr (GPtrArray) segments = g_ptr_array_new_with_free_func (g_free);
  for (guint i = 0; raw[i] != NULL; i++) {
    char *text = g_uri_unescape_string (raw[i], NULL);
    if (text == NULL || !is_plain_text (text)) {
      g_free (text);
      return g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "path: segment %u is not UTF-8 text", i + 1), NULL;
    }
    g_ptr_array_add (segments, text);
  }
  g_ptr_array_add (segments, NULL);
  return (char **) g_ptr_array_free (g_steal_pointer (&segments), FALSE);
}

/* Whether the entry is for any path, as that of the portal's files. */
static gboolean
is_catch_all (const UsherRoute *route)
{
  return g_str_has_suffix (route->pattern, "...}");
}

/* A HEAD is a file's GET only: other GETs may do something, e.g. make a ticket. */
static gboolean
method_is (const UsherRoute *route, const char *method)
{
  return g_str_equal (route->method, method)
         || (is_catch_all (route) && g_str_equal (route->method, "GET") && g_str_equal (method, "HEAD"));
}

const UsherRoute *
usher_route_find (const UsherRoute *table, UsherListener listener, const char *method, const char *path,
                  char ***out_params, char **out_allowed, GError **error)
{
  *out_allowed = NULL;
  g_auto (GStrv) segments = decode (path, error);
  if (segments == NULL)
    return NULL;
  g_autoptr (GPtrArray) values = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GString) allowed = g_string_new (NULL);
  for (const UsherRoute *route = table; route->method != NULL; route++) {
    if (route->listener != listener || !fits (route->pattern, segments, values))
      continue;
    if (method_is (route, method)) {
      g_ptr_array_add (values, NULL);
      *out_params = (char **) g_ptr_array_free (g_steal_pointer (&values), FALSE);
      return route;
    }
    if (!is_catch_all (route) && strstr (allowed->str, route->method) == NULL)
      g_string_append_printf (allowed, "%s%s", allowed->len > 0 ? ", " : "", route->method);
  }
  if (allowed->len == 0)
    return g_set_error (error, USHER_ERROR, USHER_ERROR_MISSING, "there is nothing at this path"), NULL;
  g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "this path takes %s", allowed->str);
  *out_allowed = g_string_free (g_steal_pointer (&allowed), FALSE);
  return NULL;
}

const char *
usher_listener_name (UsherListener listener)
{
  static const char *const names[] = { "api", "gateway", "host" };
  return names[listener];
}
