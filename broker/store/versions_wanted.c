/* What is asked about versions' files: which a host should have, and which nobody needs any more. */
#include "broker/store/sql.h"
#include "broker/store/versions.h"
#include "common/json.h"

static const UsherSql find_wanted = { "versions-wanted", "SELECT template, version, files FROM usher_host_versions($1::uuid)" };

gboolean
usher_versions_add_wanted (UsherStore *store, const char *host, UsherSyncAnswer *answer, GError **error)
{
  g_autoptr (UsherRows) rows = usher_sql (store, &find_wanted, error, host);
  for (int row = 0; rows != NULL && row < PQntuples (rows); row++)
    {
      UsherWantedVersion *wanted = usher_wanted_version_new (usher_cell_text (rows, row, 0), usher_cell_int (rows, row, 1));
      json_auto_t *files = usher_cell_json (rows, row, 2);
      size_t i;
      json_t *one;
      json_array_foreach (files, i, one)
        {
          UsherImageFile *file = g_new0 (UsherImageFile, 1);
          file->name = g_strdup (usher_json_string (one, "file"));
          file->size = usher_json_int (one, "size");
          file->sha256 = g_strdup (usher_json_string (one, "sha256"));
          g_ptr_array_add (wanted->files, file);
        }
      g_ptr_array_add (answer->versions, wanted);
    }
  return rows != NULL;
}

static const UsherSql find_file = {
  "version-file",
  "SELECT f->>'size', f->>'sha256' FROM template_version, jsonb_array_elements(files) f "
  "WHERE template = $1 AND version = $2::bigint AND stored AND f->>'file' = $3",
};

gboolean
usher_store_version_file (UsherStore *store, const char *template, gint64 version, const char *file, gint64 *out_size,
                          char **out_sha256, GError **error)
{
  g_autoptr (UsherRows) rows = usher_sql (store, &find_file, error, template, usher_number (version).text, file);
  if (rows == NULL)
    return FALSE;
  if (PQntuples (rows) == 0)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_MISSING, "there is no file %s of version %" G_GINT64_FORMAT " of \"%s\"", file,
                   version, template);
      return FALSE;
    }
  *out_size = usher_cell_int (rows, 0, 0);
  *out_sha256 = g_strdup (usher_cell_text (rows, 0, 1));
  return TRUE;
}

/* Who planned a desktop on it in the moment it was retired has committed within a minute (statements and idle transactions
 * end sooner), so that desktop is seen here. */
static const UsherSql find_unneeded = {
  "version-unneeded",
  "SELECT template, version FROM template_version v WHERE state = 'retired' AND stored AND since < now() - interval '1 minute' "
  "AND NOT EXISTS (SELECT FROM desktop d WHERE d.template = v.template AND d.template_version = v.version) ORDER BY since LIMIT 1",
};
static const UsherSql note_emptied = {
  "version-emptied",
  "UPDATE template_version SET stored = false, history = usher_note(history, 'files', 'nobody used its files: they were removed') "
  "WHERE template = $1 AND version = $2::bigint AND state = 'retired' AND stored",
};

gboolean
usher_store_version_unneeded (UsherStore *store, char **out_template, gint64 *out_version, GError **error)
{
  g_autoptr (UsherRows) rows = usher_sql (store, &find_unneeded, error);
  if (rows == NULL)
    return FALSE;
  *out_template = NULL;
  if (PQntuples (rows) > 0)
    {
      *out_template = g_strdup (usher_cell_text (rows, 0, 0));
      *out_version = usher_cell_int (rows, 0, 1);
    }
  return TRUE;
}

gboolean
usher_store_version_emptied (UsherStore *store, const char *template, gint64 version, GError **error)
{
  return usher_sql_do (store, &note_emptied, NULL, error, template, usher_number (version).text);
}

static const UsherSql find_known = {
  "version-known",
  "SELECT EXISTS (SELECT FROM template_version WHERE template = $1 AND version = $2::bigint AND stored) "
  "OR EXISTS (SELECT FROM template_upload WHERE template = $1 AND version = $2::bigint)",
};

gboolean
usher_store_version_is_known (UsherStore *store, const char *template, gint64 version, gboolean *out_known, GError **error)
{
  g_autoptr (UsherRows) rows = usher_sql (store, &find_known, error, template, usher_number (version).text);
  if (rows == NULL)
    return FALSE;
  *out_known = usher_cell_bool (rows, 0, 0);
  return TRUE;
}
