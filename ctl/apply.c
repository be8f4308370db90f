/* usherctl apply */
#include "common/error.h"
#include "common/json.h"
#include "ctl/command.h"
#include "ctl/yaml_read.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FILE_LIMIT (1024 * 1024)

/* Members of a document; those of a record that only the server sets are let pass and not sent. */
static const char *const members[] = { "kind", "name", "spec",   "resource_version",
                                       "id",   "status", "created_at", NULL };

static char *
read_all (const char *path, gsize *out_length, GError **error)
{
  int fd = strcmp (path, "-") == 0 ? dup (STDIN_FILENO) : open (path, O_RDONLY | O_CLOEXEC);
  GString *text = g_string_new (NULL);
  char buffer[65536];
  gssize got = -1;
  int saved;

  if (fd >= 0)
    while (text->len <= FILE_LIMIT && (got = read (fd, buffer, sizeof buffer)) > 0)
      g_string_append_len (text, buffer, got);
  saved = errno;
  if (fd >= 0)
    close (fd);
  if (fd >= 0 && (got >= 0 || text->len > FILE_LIMIT)) {
    *out_length = text->len;
    return g_string_free (text, FALSE);
  }
  g_string_free (text, TRUE);
  g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "%s: %s", path, g_strerror (saved));
  return NULL;
}

static gboolean
check (const UsherYamlDocument *document, GError **error)
{
  UsherJson at = { .object = document->value, .path = "" };
  const char *kind = NULL, *name = NULL;
  const json_t *spec = NULL;
  gint64 version = 0;

  if (!json_is_object (document->value)) {
    g_set_error_literal (error, USHER_ERROR, USHER_ERROR_INVALID, "not a document with kind, name and spec");
    return FALSE;
  }
  if (!usher_json_only (at, members, error) || !usher_json_get_string (at, "kind", &kind, error) ||
      !usher_json_get_string (at, "name", &name, error) || !usher_json_get_object (at, "spec", &spec, error) ||
      !usher_json_find_int (at, "resource_version", 0, G_MAXINT64, &version, error))
    return FALSE;
  if (*name == '\0') {
    g_set_error_literal (error, USHER_ERROR, USHER_ERROR_INVALID, "name: is empty");
    return FALSE;
  }
  if (usher_kind_find (kind) != NULL)
    return TRUE;
  g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "kind: there is no kind «%s»", kind);
  return FALSE;
}

/* file:line before what went wrong with a document. */
static gboolean
fail_at (const char *file, const UsherYamlDocument *document, GError *problem, GError **error)
{
  guint line = usher_yaml_document_find_line (document, problem->message);

  g_propagate_prefixed_error (error, problem, "%s:%u: ", file, line);
  return FALSE;
}

static gboolean
apply (UsherCtl *ctl, const char *kind, const json_t *document, GError **error)
{
  const char *name = usher_json_string (document, "name");
  g_autofree char *path = usher_client_path ("records", kind, name, NULL);
  json_auto_t *body = json_pack ("{s:O}", "spec", json_object_get (document, "spec"));
  json_t *version = json_object_get (document, "resource_version");
  g_auto (UsherAnswer) answer = { 0 };

  if (json_is_integer (version))
    json_object_set (body, "resource_version", version);
  if (!usher_client_call (ctl->client, "PUT", path, body, &answer, error))
    return FALSE;
  printf ("%s/%s %s\n", kind, name, answer.status == 201 ? "created" : "applied");
  return TRUE;
}

gboolean
usher_ctl_apply (UsherCtl *ctl, GError **error)
{
  const char *file = ctl->options.file;
  g_autofree char *text = NULL;
  g_autoptr (GPtrArray) documents = NULL;
  g_autoptr (GError) problem = NULL;
  gsize length = 0;

  if (file == NULL)
    return usher_ctl_misuse (error, "usage: usherctl apply -f FILE");
  text = read_all (file, &length, error);
  documents = text != NULL ? usher_yaml_read (text, length, file, error) : NULL;
  if (documents == NULL)
    return FALSE;
  for (guint i = 0; i < documents->len; i++)
    if (!check (documents->pdata[i], &problem))
      return fail_at (file, documents->pdata[i], g_steal_pointer (&problem), error);
  for (guint i = 0; i < documents->len; i++) {
    const UsherYamlDocument *document = documents->pdata[i];
    const char *kind = usher_kind_find (usher_json_string (document->value, "kind"));
    if (!apply (ctl, kind, document->value, &problem))
      return fail_at (file, document, g_steal_pointer (&problem), error);
  }
  if (documents->len == 0)
    return usher_ctl_misuse (error, "%s: there is no document in it", file);
  return TRUE;
}
