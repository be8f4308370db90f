#include "broker/auth/setup.h"
#include "broker/auth/filter.h"
#include "common/error.h"
#include <ldap.h>
#include <string.h>

#define SECTION "directory"

static gboolean
refuse (GError **error, const char *key, const char *value, const char *why)
{
  g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "[" SECTION "] %s: %s: %s", key, why, value);
  return FALSE;
}

static gboolean
check_servers (UsherDirectorySetup *setup, GError **error)
{
  if (setup->server_count == 0)
    return refuse (error, "servers", "", "no server is named");
  for (guint i = 0; i < setup->server_count; i++) {
    LDAPURLDesc *url = NULL;
    gboolean good = ldap_url_parse (setup->servers[i], &url) == LDAP_URL_SUCCESS &&
                    (url->lud_dn == NULL || *url->lud_dn == '\0') && url->lud_host != NULL && *url->lud_host != '\0';
    g_clear_pointer (&url, ldap_free_urldesc);
    if (!good)
      return refuse (error, "servers", setup->servers[i], "not ldap://HOST, ldaps://HOST or ldapi://%2Fsocket");
  }
  return TRUE;
}

static gboolean
check_names (const UsherDirectorySetup *setup, GError **error)
{
  const struct {
    const char *key, *value;
  } attributes[] = {
    { "user_name_attribute", setup->user_name_attribute },       { "mail_attribute", setup->mail_attribute },
    { "display_name_attribute", setup->display_name_attribute }, { "group_name_attribute", setup->group_name_attribute },
    { "group_member_attribute", setup->group_member_attribute },
  };
  for (gsize i = 0; i < G_N_ELEMENTS (attributes); i++)
    if (!usher_filter_attribute_is_valid (attributes[i].value))
      return refuse (error, attributes[i].key, attributes[i].value, "not the name of an attribute");
  if (!usher_filter_is_valid (setup->user_filter))
    return refuse (error, "user_filter", setup->user_filter, "not an LDAP filter in parentheses");
  if (!usher_filter_is_valid (setup->group_filter))
    return refuse (error, "group_filter", setup->group_filter, "not an LDAP filter in parentheses");
  return TRUE;
}

static gboolean
read_password (UsherDirectorySetup *setup, const char *path, GError **error)
{
  if (*setup->bind_dn == '\0')
    return *path == '\0' || refuse (error, "bind_password_file", path, "given, but bind_dn is empty");
  if (*path == '\0')
    return refuse (error, "bind_password_file", setup->bind_dn, "the service account needs a password");
  setup->bind_password = usher_secret_read_file (path, error);
  if (setup->bind_password == NULL)
    return FALSE;
  if (usher_secret_length (setup->bind_password) == 0)
    return refuse (error, "bind_password_file", path, "the password is empty");
  return TRUE;
}

static char *
dup_string (const UsherSettings *settings, const char *key)
{
  return g_strdup (usher_settings_get_string (settings, SECTION, key));
}

static void
read_strings (UsherDirectorySetup *setup, const UsherSettings *settings)
{
  setup->servers = g_strdupv ((char **) usher_settings_get_list (settings, SECTION, "servers"));
  setup->server_count = g_strv_length (setup->servers);
  setup->avoid_until_us = g_new0 (gint64, setup->server_count);
  setup->ca_file = dup_string (settings, "ca_file");
  setup->bind_dn = dup_string (settings, "bind_dn");
  setup->user_base = dup_string (settings, "user_base");
  setup->user_filter = dup_string (settings, "user_filter");
  setup->user_name_attribute = dup_string (settings, "user_name_attribute");
  setup->display_name_attribute = dup_string (settings, "display_name_attribute");
  setup->mail_attribute = dup_string (settings, "mail_attribute");
  setup->group_base = dup_string (settings, "group_base");
  setup->group_filter = dup_string (settings, "group_filter");
  setup->group_member_attribute = dup_string (settings, "group_member_attribute");
  setup->group_name_attribute = dup_string (settings, "group_name_attribute");
}

static void
read_choices (UsherDirectorySetup *setup, const UsherSettings *settings)
{
  const char *nesting = usher_settings_get_string (settings, SECTION, "group_nesting");

  setup->starttls = strcmp (usher_settings_get_string (settings, SECTION, "starttls"), "require") == 0;
  setup->nesting = strcmp (nesting, "in-chain") == 0 ? USHER_NESTING_IN_CHAIN
                   : strcmp (nesting, "direct") == 0 ? USHER_NESTING_DIRECT
                                                     : USHER_NESTING_RECURSIVE;
  setup->group_depth = (guint) usher_settings_get_int (settings, SECTION, "group_depth");
  setup->group_limit = (guint) usher_settings_get_int (settings, SECTION, "group_limit");
  setup->group_memory_s = (guint) usher_settings_get_int (settings, SECTION, "group_memory_s");
  setup->connect_timeout_ms = (guint) usher_settings_get_int (settings, SECTION, "connect_timeout_ms");
  setup->operation_timeout_ms = (guint) usher_settings_get_int (settings, SECTION, "operation_timeout_ms");
  setup->total_timeout_ms = (guint) usher_settings_get_int (settings, SECTION, "total_timeout_ms");
  setup->avoid_failed_s = (guint) usher_settings_get_int (settings, SECTION, "avoid_failed_s");
  setup->workers = (guint) usher_settings_get_int (settings, SECTION, "workers");
}

UsherDirectorySetup *
usher_directory_setup_new (const UsherSettings *settings, GError **error)
{
  g_autoptr (UsherDirectorySetup) setup = g_new0 (UsherDirectorySetup, 1);

  /* What stands in ldap.conf, ~/.ldaprc or LDAPTLS_REQCERT is for people's tools: it must not weaken ours. */
  g_setenv ("LDAPNOINIT", "1", TRUE);
  g_mutex_init (&setup->lock);
  read_strings (setup, settings);
  read_choices (setup, settings);
  if (!check_servers (setup, error) || !check_names (setup, error) ||
      !read_password (setup, usher_settings_get_string (settings, SECTION, "bind_password_file"), error))
    return NULL;
  return g_steal_pointer (&setup);
}

guint
usher_directory_setup_get_workers (const UsherDirectorySetup *setup)
{
  return setup->workers;
}

void
usher_directory_setup_order (UsherDirectorySetup *setup, gint64 now_us, guint *out)
{
  guint at = 0;

  g_mutex_lock (&setup->lock);
  for (int avoided = 0; avoided <= 1; avoided++)
    for (guint i = 0; i < setup->server_count; i++)
      if ((setup->avoid_until_us[i] > now_us) == (avoided == 1))
        out[at++] = i;
  g_mutex_unlock (&setup->lock);
}

gboolean
usher_directory_setup_note (UsherDirectorySetup *setup, guint server, gboolean failed, gint64 now_us)
{
  gint64 until_us = failed ? now_us + (gint64) setup->avoid_failed_s * G_USEC_PER_SEC : 0;
  gboolean news;

  g_mutex_lock (&setup->lock);
  news = (setup->avoid_until_us[server] != 0) != failed;
  setup->avoid_until_us[server] = until_us;
  g_mutex_unlock (&setup->lock);
  return news;
}

void
usher_directory_setup_free (UsherDirectorySetup *setup)
{
  if (setup == NULL)
    return;
  g_strfreev (setup->servers);
  g_free (setup->avoid_until_us);
  g_free (setup->ca_file);
  g_free (setup->bind_dn);
  usher_secret_free (setup->bind_password);
  g_free (setup->user_base);
  g_free (setup->user_filter);
  g_free (setup->user_name_attribute);
  g_free (setup->display_name_attribute);
  g_free (setup->mail_attribute);
  g_free (setup->group_base);
  g_free (setup->group_filter);
  g_free (setup->group_member_attribute);
  g_free (setup->group_name_attribute);
  g_mutex_clear (&setup->lock);
  g_free (setup);
}
