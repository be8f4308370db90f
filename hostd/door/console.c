#include "common/error.h"
#include "common/id.h"
#include "common/json.h"
#include "hostd/door/door.h"

static gboolean
read_place (const json_t *console, const char *service, UsherAddress *out, GError **error)
{
  const json_t *place = NULL;
  const char *host = NULL;
  gint64 port = 0;
  if (!usher_json_get_object ((UsherJson){ console, "console" }, service, &place, error)
      || !usher_json_get_string ((UsherJson){ place, service }, "host", &host, error)
      || !usher_json_get_int ((UsherJson){ place, service }, "port", 1, 65535, &port, error))
    return FALSE;
  /* hostd writes loopback only; anything else means that the directory is not what it should be. */
  if (!g_str_equal (host, "127.0.0.1") && !g_str_equal (host, "::1"))
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "%s.host: \"%s\" is not this host's loopback", service, host);
      return FALSE;
    }
  g_autofree char *text = g_strdup_printf (strchr (host, ':') != NULL ? "[%s]:%d" : "%s:%d", host, (int) port);
  return usher_address_parse (text, out, error);
}

gboolean
usher_door_console_find (const char *consoles, const char *desktop, const char *service, UsherAddress *out,
                         GError **error)
{
  if (!usher_id_is_valid (desktop)) /* it becomes a file name */
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "the desktop's id is not an id");
      return FALSE;
    }
  g_autofree char *path = g_build_filename (consoles, desktop, NULL);
  json_auto_t *console = usher_json_read_file (path, error);
  if (console == NULL)
    return FALSE;
  if (json_object_get (console, service) == NULL)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_MISSING, "desktop %s has no service %s", desktop, service);
      return FALSE;
    }
  return read_place (console, service, out, error);
}
