#include "broker/store/uploads.h"

#include "broker/store/audit_add.h"
#include "broker/store/sql.h"
#include "common/fault.h"
#include "common/json.h"

#define COLUMNS "id, template, manifest, files, note, created_by, digest, coalesce(parent, 0), coalesce(version, 0)"
enum { U_ID, U_TEMPLATE, U_MANIFEST, U_FILES, U_NOTE, U_CREATED_BY, U_DIGEST, U_PARENT, U_VERSION, U_IDLE };

void
usher_upload_free (UsherUpload *upload)
{
  if (upload == NULL)
    return;
  g_free (upload->template);
  json_decref (upload->manifest);
  json_decref (upload->files);
  g_free (upload->note);
  g_free (upload->created_by);
  g_free (upload->digest);
  g_free (upload);
}

static UsherUpload *
read_upload (const UsherRows *rows)
{
  UsherUpload *upload = g_new0 (UsherUpload, 1);
  g_strlcpy (upload->id, usher_cell_text (rows, 0, U_ID), USHER_ID_SIZE);
  upload->template = g_strdup (usher_cell_text (rows, 0, U_TEMPLATE));
  upload->manifest = usher_cell_json (rows, 0, U_MANIFEST);
  upload->files = usher_cell_json (rows, 0, U_FILES);
  upload->note = g_strdup (usher_cell_text (rows, 0, U_NOTE));
  upload->created_by = g_strdup (usher_cell_text (rows, 0, U_CREATED_BY));
  upload->digest = g_strdup (usher_cell_text (rows, 0, U_DIGEST));
  upload->parent = usher_cell_int (rows, 0, U_PARENT);
  upload->version = usher_cell_int (rows, 0, U_VERSION);
  return upload;
}

/* ---- beginning ---- */

static const UsherSql find_done = {
  "upload-done",
  "SELECT version FROM template_version WHERE digest = $1 AND template = $2 AND state <> 'retired' ORDER BY version DESC LIMIT 1",
};
static const UsherSql find_same = {
  "upload-same",
  "UPDATE template_upload SET touched_at = now() WHERE digest = $1 RETURNING " COLUMNS,
};
/* Those that begin at the same time wait for each other, and count what the ones before left: the limit holds. */
static const UsherSql take_turn = { "upload-turn", "SELECT pg_advisory_xact_lock(7002)" };
static const UsherSql count_open = { "upload-count", "SELECT count(*) FROM template_upload" };
/* A parent may also be a version that lies on hosts only. */
static const UsherSql find_parent = {
  "upload-parent",
  "SELECT 1 FROM template_version WHERE template = $1 AND version = $2::bigint "
  "UNION ALL SELECT 1 FROM host WHERE $1 || '/' || $2 = ANY (templates) LIMIT 1",
};
static const UsherSql add_upload = {
  "upload-add",
  "INSERT INTO template_upload (template, manifest, files, note, parent, digest, created_by) "
  "VALUES ($1, $2::jsonb, $3::jsonb, $4, nullif($5::bigint, 0), $6, $7) RETURNING " COLUMNS,
};

typedef struct {
  const UsherActor *actor;
  const UsherUploadWish *wish;
  guint limit;
  /* the outcome */
  UsherUploadBegun begun;
  UsherUpload *upload;
  gint64 version;
} Begin;

static gboolean
find_again (UsherStore *store, Begin *begin, gboolean *out_found, GError **error)
{
  g_autoptr (UsherRows) done = usher_sql (store, &find_done, error, begin->wish->digest, begin->wish->template);
  if (done == NULL)
    return FALSE;
  *out_found = TRUE;
  begin->begun = USHER_UPLOAD_DONE;
  if (PQntuples (done) > 0)
    {
      begin->version = usher_cell_int (done, 0, 0);
      return TRUE;
    }
  g_autoptr (UsherRows) same = usher_sql (store, &find_same, error, begin->wish->digest);
  if (same == NULL)
    return FALSE;
  begin->begun = USHER_UPLOAD_OLD;
  *out_found = PQntuples (same) > 0;
  if (*out_found)
    begin->upload = read_upload (same);
  return TRUE;
}

static gboolean
may_begin (UsherStore *store, const Begin *begin, GError **error)
{
  g_autoptr (UsherRows) turn = usher_sql (store, &take_turn, error);
  g_autoptr (UsherRows) open = turn != NULL ? usher_sql (store, &count_open, error) : NULL;
  if (open == NULL)
    return FALSE;
  if (usher_cell_int (open, 0, 0) >= (gint64) begin->limit)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_EXHAUSTED, "%u uploads are under way already: finish or delete one", begin->limit);
      return FALSE;
    }
  if (begin->wish->parent == 0)
    return TRUE;
  g_autoptr (UsherRows) parent
      = usher_sql (store, &find_parent, error, begin->wish->template, usher_number (begin->wish->parent).text);
  if (parent != NULL && PQntuples (parent) == 0)
    g_set_error (error, USHER_ERROR, USHER_ERROR_CONFLICT, "parent_version: there is no version %" G_GINT64_FORMAT " of \"%s\"",
                 begin->wish->parent, begin->wish->template);
  return parent != NULL && PQntuples (parent) > 0;
}

static gboolean
begin_in_transaction (UsherStore *store, gpointer data, GError **error)
{
  Begin *begin = data;
  const UsherUploadWish *wish = begin->wish;
  gboolean found = FALSE;
  g_clear_pointer (&begin->upload, usher_upload_free);
  if (!find_again (store, begin, &found, error))
    return FALSE;
  if (found)
    return TRUE;
  if (!may_begin (store, begin, error) || !find_again (store, begin, &found, error))
    return FALSE;
  if (found)
    return TRUE;
  g_autofree char *manifest = usher_json_to_line (wish->manifest), *files = usher_json_to_line (wish->files);
  g_autoptr (UsherRows) rows
      = usher_sql (store, &add_upload, error, wish->template, manifest, files, wish->note, usher_number (wish->parent).text,
                   wish->digest, begin->actor->name != NULL ? begin->actor->name : "");
  if (rows == NULL)
    return FALSE;
  begin->begun = USHER_UPLOAD_NEW;
  begin->upload = read_upload (rows);
  UsherAuditLine line = { .action = "upload", .outcome = "ok", .kind = "template-version", .id = begin->upload->id, .object = wish->template };
  return usher_audit_add (store, begin->actor, &line, error);
}

gboolean
usher_store_upload_begin (UsherStore *store, const UsherActor *actor, const UsherUploadWish *wish, guint limit,
                          UsherUploadBegun *out_begun, UsherUpload **out_upload, gint64 *out_version, GError **error)
{
  Begin begin = { .actor = actor, .wish = wish, .limit = limit };
  GError *local = NULL;
  if (!usher_store_transact (store, begin_in_transaction, &begin, &local))
    {
      UsherAuditLine line = { .action = "upload", .kind = "template-version", .object = wish->template };
      usher_upload_free (begin.upload);
      usher_audit_refusal (store, actor, &line, local);
      g_propagate_error (error, local);
      return FALSE;
    }
  *out_begun = begin.begun;
  if (begin.begun == USHER_UPLOAD_DONE)
    *out_version = begin.version;
  else
    *out_upload = begin.upload;
  return TRUE;
}

/* ---- going on ---- */

static const UsherSql find = { "upload-find", "SELECT " COLUMNS ", touched_at < now() - interval '1 minute' FROM template_upload WHERE id = $1::uuid" };
static const UsherSql touch = { "upload-touch", "UPDATE template_upload SET touched_at = now() WHERE id = $1::uuid" };
static const UsherSql list_idle = {
  "upload-idle",
  "SELECT id FROM template_upload WHERE touched_at < now() - make_interval(secs => $1::bigint) ORDER BY touched_at LIMIT 100",
};

static gboolean
no_upload (const char *id, GError **error)
{
  g_set_error (error, USHER_ERROR, USHER_ERROR_MISSING, "there is no upload %s: it is finished, or nobody went on with it", id);
  return FALSE;
}

static gboolean
is_id (const char *id, GError **error)
{
  if (usher_id_is_valid (id))
    return TRUE;
  g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "\"%.40s\" is not an upload's id", id);
  return FALSE;
}

static UsherUpload *
find_upload (UsherStore *store, const char *id, gboolean note, GError **error)
{
  g_autoptr (UsherRows) rows = is_id (id, error) ? usher_sql (store, &find, error, id) : NULL;
  if (rows == NULL)
    return NULL;
  if (PQntuples (rows) == 0)
    return no_upload (id, error), NULL;
  if (note && usher_cell_bool (rows, 0, U_IDLE) && !usher_sql_do (store, &touch, NULL, error, id))
    return NULL;
  return read_upload (rows);
}

UsherUpload *
usher_store_upload_find (UsherStore *store, const char *id, GError **error)
{
  return find_upload (store, id, TRUE, error);
}

UsherUpload *
usher_store_upload_peek (UsherStore *store, const char *id, GError **error)
{
  return find_upload (store, id, FALSE, error);
}

static const UsherSql find_result = { "upload-result", "SELECT template, version FROM template_version WHERE upload = $1::uuid" };

gboolean
usher_store_upload_result (UsherStore *store, const char *id, gboolean *out_done, char **out_template, gint64 *out_version,
                           GError **error)
{
  g_autoptr (UsherRows) rows = is_id (id, error) ? usher_sql (store, &find_result, error, id) : NULL;
  if (rows == NULL)
    return FALSE;
  *out_done = PQntuples (rows) > 0;
  if (*out_done)
    {
      *out_template = g_strdup (usher_cell_text (rows, 0, 0));
      *out_version = usher_cell_int (rows, 0, 1);
    }
  return TRUE;
}

gboolean
usher_store_upload_exists (UsherStore *store, const char *id, gboolean *out_exists, GError **error)
{
  g_autoptr (UsherRows) rows = usher_id_is_valid (id) ? usher_sql (store, &find, error, id) : NULL;
  if (usher_id_is_valid (id) && rows == NULL)
    return FALSE;
  *out_exists = rows != NULL && PQntuples (rows) > 0;
  return TRUE;
}

char **
usher_store_upload_list_idle (UsherStore *store, gint64 idle_s, GError **error)
{
  g_autoptr (UsherRows) rows = usher_sql (store, &list_idle, error, usher_number (idle_s).text);
  if (rows == NULL)
    return NULL;
  g_autoptr (GStrvBuilder) ids = g_strv_builder_new ();
  for (int row = 0; row < PQntuples (rows); row++)
    g_strv_builder_add (ids, usher_cell_text (rows, row, 0));
  return g_strv_builder_end (ids);
}

/* ---- its number ---- */

static const UsherSql lock_upload = {
  "upload-lock",
  "SELECT template, pg_advisory_xact_lock(7003, hashtext(template)) FROM template_upload WHERE id = $1::uuid FOR UPDATE",
};
/* Hosts may have versions that have no record: their numbers are taken too, and so are those that somebody wants. */
static const UsherSql give_number = {
  "upload-number",
  "UPDATE template_upload u SET version = greatest($3::bigint, 1 + greatest("
  "(SELECT max(version) FROM template_version WHERE template = $2), "
  "(SELECT max(version) FROM template_upload WHERE template = $2), "
  "(SELECT (spec->>'version')::bigint FROM template WHERE name = $2), "
  "(SELECT max((spec->>'template_version')::bigint) FROM pool WHERE spec->>'template' = $2), "
  "(SELECT max(template_version) FROM desktop WHERE template = $2), "
  "(SELECT max(substring(t FROM '/([0-9]{1,9})$')::bigint) FROM host, unnest(templates) t WHERE t LIKE $2 || '/%'), 0)) "
  "WHERE id = $1::uuid RETURNING version",
};

typedef struct {
  const char *id;
  gint64 at_least, version;
} Number;

static gboolean
number_in_transaction (UsherStore *store, gpointer data, GError **error)
{
  Number *number = data;
  g_autoptr (UsherRows) locked = usher_sql (store, &lock_upload, error, number->id);
  if (locked == NULL)
    return FALSE;
  if (PQntuples (locked) == 0)
    return no_upload (number->id, error);
  g_autoptr (UsherRows) given = usher_sql (store, &give_number, error, number->id, usher_cell_text (locked, 0, 0),
                                           usher_number (number->at_least).text);
  if (given == NULL)
    return FALSE;
  number->version = usher_cell_int (given, 0, 0);
  return TRUE;
}

gboolean
usher_store_upload_number (UsherStore *store, const char *id, gint64 at_least, gint64 *out_version, GError **error)
{
  Number number = { .id = id, .at_least = at_least };
  if (!usher_store_transact (store, number_in_transaction, &number, error))
    return FALSE;
  *out_version = number.version;
  return TRUE;
}

/* ---- its end ---- */

static const UsherSql add_version = {
  "version-add",
  "INSERT INTO template_version (template, version, created_by, manifest, files, note, parent, digest, upload, history) "
  "SELECT template, version, created_by, $2::jsonb, $3::jsonb, note, parent, digest, id, usher_note('[]', 'draft', 'it was taken in') "
  "FROM template_upload WHERE id = $1::uuid AND version = $4::bigint RETURNING id, name",
};
static const UsherSql drop_upload = { "upload-drop", "DELETE FROM template_upload WHERE id = $1::uuid RETURNING template" };
typedef struct {
  const UsherActor *actor;
  const UsherUpload *upload;
  const char *manifest, *files;
} Finish;

/* Somebody else finished it in the same moment, or it was dropped. */
static gboolean
is_done (UsherStore *store, const UsherUpload *upload, GError **error)
{
  g_autoptr (UsherRows) rows = usher_sql (store, &find_result, error, upload->id);
  if (rows == NULL)
    return FALSE;
  return PQntuples (rows) > 0 || no_upload (upload->id, error);
}

static gboolean
finish_in_transaction (UsherStore *store, gpointer data, GError **error)
{
  const Finish *finish = data;
  g_autoptr (UsherRows) locked = usher_sql (store, &lock_upload, error, finish->upload->id);
  if (locked == NULL)
    return FALSE;
  if (PQntuples (locked) == 0)
    return is_done (store, finish->upload, error);
  g_autoptr (UsherRows) added = usher_sql (store, &add_version, error, finish->upload->id, finish->manifest, finish->files,
                                           usher_number (finish->upload->version).text);
  if (added == NULL)
    return FALSE;
  if (PQntuples (added) == 0)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_CONFLICT, "upload %s was given another number meanwhile", finish->upload->id);
      return FALSE;
    }
  UsherAuditLine line = { .action = "create", .outcome = "ok", .kind = "template-version",
                          .id = usher_cell_text (added, 0, 0), .object = usher_cell_text (added, 0, 1) };
  USHER_FAULT_POINT ("images.record");
  return usher_sql_do (store, &drop_upload, NULL, error, finish->upload->id)
         && usher_audit_add (store, finish->actor, &line, error);
}

gboolean
usher_store_upload_finish (UsherStore *store, const UsherActor *actor, const UsherUpload *upload, const json_t *manifest,
                           const json_t *files, GError **error)
{
  g_autofree char *manifest_text = usher_json_to_line (manifest), *files_text = usher_json_to_line (files);
  Finish finish = { actor, upload, manifest_text, files_text };
  return usher_store_transact (store, finish_in_transaction, &finish, error);
}

typedef struct {
  const UsherActor *actor;
  const char *id, *why;
} Drop;

static gboolean
drop_in_transaction (UsherStore *store, gpointer data, GError **error)
{
  const Drop *drop = data;
  g_autoptr (UsherRows) rows = usher_sql (store, &drop_upload, error, drop->id);
  if (rows == NULL)
    return FALSE;
  if (PQntuples (rows) == 0)
    return TRUE;
  UsherAuditLine line = { .action = "upload", .outcome = "ok", .kind = "template-version", .id = drop->id,
                          .object = usher_cell_text (rows, 0, 0), .message = drop->why };
  return usher_audit_add (store, drop->actor, &line, error);
}

gboolean
usher_store_upload_drop (UsherStore *store, const UsherActor *actor, const char *id, const char *why, GError **error)
{
  Drop drop = { actor, id, why };
  return usher_store_transact (store, drop_in_transaction, &drop, error);
}
