/* usherctl template build, versions, publish, rollback, retire */
#include "common/error.h"
#include "common/json.h"
#include "ctl/command.h"
#include "ctl/interrupt.h"
#include "ctl/template/patience.h"
#include "ctl/template/recipe.h"
#include "ctl/template/template.h"
#include "ctl/template/upload.h"
#include "ctl/template/workdir.h"
#include <stdio.h>
#include <string.h>

/* A broker that checks a large image answers late. */
#define ANSWER_S 600

static gboolean
wants_value (const UsherCtl *ctl)
{
  return ctl->output_given && ctl->output != USHER_OUTPUT_TABLE && ctl->output != USHER_OUTPUT_NAME;
}

static void
print_value (const UsherCtl *ctl, const json_t *value)
{
  g_autofree char *text = usher_output_value (ctl->output, value);
  fputs (text, stdout);
}

gboolean
usher_template_may_send (UsherCtl *ctl, GCancellable *cancellable, GError **error)
{
  UsherPatience patience = { .client = ctl->client };
  g_auto (UsherAnswer) answer = { 0 };

  usher_client_watch (ctl->client, cancellable, ANSWER_S);
  return usher_patience_call (&patience, "GET", "/records/template", NULL, &answer, error);
}

/* ---- which version is published ---- */

static gboolean
change (UsherCtl *ctl, const char *template, const char *what, gint64 version, UsherAnswer *out_answer, GError **error)
{
  UsherPatience patience = { .client = ctl->client };
  g_autofree char *path = usher_client_path ("templates", template, what, NULL);
  json_auto_t *body = version > 0 ? json_pack ("{s:I}", "version", (json_int_t) version) : json_object ();

  usher_client_watch (ctl->client, usher_interrupt_watch (), 0);
  return usher_patience_call (&patience, "POST", path, body, out_answer, error);
}

/* "3" or "v3". */
static gint64
parse_version (const char *text, GError **error)
{
  guint64 version = 0;

  if (g_ascii_string_to_unsigned (text + (*text == 'v'), 10, 1, G_MAXINT32, &version, NULL))
    return (gint64) version;
  usher_ctl_misuse (error, "«%s» is not a version's number", text);
  return 0;
}

static gboolean
change_as_told (UsherCtl *ctl, const char *what, const char *done, GError **error)
{
  const char *template = ctl->words[0];
  gint64 version = ctl->count > 1 ? parse_version (ctl->words[1], error) : 0;
  g_auto (UsherAnswer) answer = { 0 };

  if ((ctl->count > 1 && version == 0) || !change (ctl, template, what, version, &answer, error))
    return FALSE;
  if (wants_value (ctl))
    print_value (ctl, answer.body);
  else
    printf ("%s/%" G_GINT64_FORMAT " %s\n", template,
            version > 0 ? version : usher_json_int (json_object_get (answer.body, "spec"), "version"), done);
  return TRUE;
}

gboolean
usher_ctl_template_publish (UsherCtl *ctl, GError **error)
{
  return change_as_told (ctl, "publish", "is published", error);
}

gboolean
usher_ctl_template_rollback (UsherCtl *ctl, GError **error)
{
  return change_as_told (ctl, "rollback", "is published again", error);
}

gboolean
usher_ctl_template_retire (UsherCtl *ctl, GError **error)
{
  return change_as_told (ctl, "retire", "is retired", error);
}

/* ---- versions ---- */

static int
by_number (const void *a, const void *b)
{
  gint64 one = usher_json_int (json_object_get (*(json_t *const *) a, "spec"), "version");
  gint64 other = usher_json_int (json_object_get (*(json_t *const *) b, "spec"), "version");
  return (one > other) - (one < other);
}

json_t *
usher_template_versions (UsherCtl *ctl, const char *template, GError **error)
{
  g_auto (UsherAnswer) answer = { 0 };
  g_autoptr (GPtrArray) of_it = g_ptr_array_new ();
  json_t *list = json_array (), *record;
  gsize i;

  if (!usher_client_call (ctl->client, "GET", "/records/template-version", NULL, &answer, error)) {
    json_decref (list);
    return NULL;
  }
  json_array_foreach (json_object_get (answer.body, "items"), i, record)
    if (strcmp (usher_json_string (json_object_get (record, "spec"), "template"), template) == 0)
      g_ptr_array_add (of_it, record);
  g_ptr_array_sort (of_it, by_number);
  for (i = 0; i < of_it->len; i++)
    json_array_append (list, of_it->pdata[i]);
  return list;
}

gboolean
usher_ctl_template_versions (UsherCtl *ctl, GError **error)
{
  json_auto_t *list = usher_template_versions (ctl, ctl->words[0], error);
  g_autofree char *text = NULL;

  if (list == NULL)
    return FALSE;
  if (json_array_size (list) == 0) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_MISSING, "the broker has no version of a template «%s»", ctl->words[0]);
    return FALSE;
  }
  text = usher_output_records (ctl->output, "template-version", list, TRUE);
  fputs (text, stdout);
  return TRUE;
}

/* ---- making one ---- */

static void
print_sent (const UsherCtl *ctl, const char *template, const UsherUploaded *uploaded)
{
  if (wants_value (ctl)) {
    json_auto_t *value = json_pack ("{s:s, s:I, s:b, s:b}", "template", template, "version", (json_int_t) uploaded->version, "uploaded",
                                    !uploaded->was_there, "published", ctl->options.publish);
    print_value (ctl, value);
    return;
  }
  printf ("%s/%" G_GINT64_FORMAT " %s%s\n", template, uploaded->version, uploaded->was_there ? "is there already" : "is uploaded",
          ctl->options.publish ? " and published" : "");
}

gboolean
usher_template_send (UsherCtl *ctl, const UsherBundle *bundle, gboolean keep, GError **error)
{
  UsherUploaded uploaded = { 0 };
  g_auto (UsherAnswer) answer = { 0 };

  if (!usher_upload (ctl->client, bundle, ctl->options.note, keep, &uploaded, error))
    return FALSE;
  if (ctl->options.publish && !change (ctl, bundle->name, "publish", uploaded.version, &answer, error)) {
    g_prefix_error (error, "%s/%" G_GINT64_FORMAT " is uploaded, but not published: ", bundle->name, uploaded.version);
    return FALSE;
  }
  print_sent (ctl, bundle->name, &uploaded);
  return TRUE;
}

/* Where the recipe works: the cache given, else a folder that goes with us. */
static gboolean
build (UsherCtl *ctl, const char *program, const char *out, const char *downloads, gboolean keep, GError **error)
{
  GCancellable *cancellable = usher_interrupt_watch ();
  g_autofree char *version = usher_recipe_run (program, out, downloads, ctl->options.rebuild, cancellable, error);
  g_autoptr (UsherBundle) bundle = version != NULL ? usher_bundle_open (version, NULL, cancellable, error) : NULL;

  return bundle != NULL && usher_template_send (ctl, bundle, keep, error);
}

gboolean
usher_ctl_template_build (UsherCtl *ctl, GError **error)
{
  g_autofree char *program = usher_recipe_find (ctl->words[0], error);
  g_autofree char *out = NULL, *downloads = NULL;
  g_autoptr (UsherWorkdir) workdir = NULL;
  const char *base = ctl->options.cache;

  if (program == NULL || !usher_template_may_send (ctl, usher_interrupt_watch (), error))
    return FALSE;
  if (base == NULL) {
    workdir = usher_workdir_new (error);
    if (workdir == NULL)
      return FALSE;
    base = usher_workdir_get_path (workdir);
  }
  out = g_build_filename (base, "templates", NULL);
  downloads = g_build_filename (base, "downloads", NULL);
  return build (ctl, program, out, downloads, workdir == NULL, error);
}
