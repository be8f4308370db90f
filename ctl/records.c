/* usherctl get, describe, delete, refresh, watch, why, host-token */
#include "common/error.h"
#include "common/json.h"
#include "ctl/command.h"
#include "ctl/template/template.h"
#include <stdio.h>
#include <string.h>

static void
print (char *text)
{
  fputs (text, stdout);
  fflush (stdout);
  g_free (text);
}

static gboolean
no_records (GError **error)
{
  g_set_error_literal (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "the answer is not what an Usher broker says");
  return FALSE;
}

static gboolean
get_one (UsherCtl *ctl, const char *kind, const char *name, UsherAnswer *out_answer, GError **error)
{
  g_autofree char *path = usher_client_path ("records", kind, name, NULL);

  return usher_client_call (ctl->client, "GET", path, NULL, out_answer, error) &&
         (json_is_object (out_answer->body) || no_records (error));
}

gboolean
usher_ctl_get (UsherCtl *ctl, GError **error)
{
  const char *kind = usher_ctl_kind (ctl->words[0], error);
  g_auto (UsherAnswer) answer = { 0 };
  g_autofree char *list = NULL, *path = NULL;

  if (kind == NULL)
    return FALSE;
  if (ctl->count == 2) {
    if (!get_one (ctl, kind, ctl->words[1], &answer, error))
      return FALSE;
    json_auto_t *one = json_pack ("[O]", answer.body);
    print (ctl->output == USHER_OUTPUT_JSON ? usher_output_value (ctl->output, answer.body)
                                            : usher_output_records (ctl->output, kind, one, TRUE));
    return TRUE;
  }
  list = usher_client_path ("records", kind, NULL);
  path = ctl->options.limit > 0 ? g_strdup_printf ("%s?limit=%d", list, ctl->options.limit) : g_strdup (list);
  if (!usher_client_call (ctl->client, "GET", path, NULL, &answer, error))
    return FALSE;
  if (!json_is_array (json_object_get (answer.body, "items")))
    return no_records (error);
  print (usher_output_records (ctl->output, kind, json_object_get (answer.body, "items"), TRUE));
  return TRUE;
}

/* "2026-11-21T14:00:00Z  placement  no host has …", one line each. */
static char *
explanation_text (const json_t *why)
{
  GString *out = g_string_new (NULL);
  json_t *line;
  gsize i;

  json_array_foreach (json_object_get (why, "explanation"), i, line)
    g_string_append_printf (out, "%s  %s  %s\n", usher_json_string (line, "at"), usher_json_string (line, "rule"),
                            usher_json_string (line, "message"));
  return g_string_free (out, FALSE);
}

static gboolean
ask_why (UsherCtl *ctl, const char *id, UsherAnswer *out_answer, GError **error)
{
  g_autofree char *path = usher_client_path ("why", id, NULL);

  return usher_client_call (ctl->client, "GET", path, NULL, out_answer, error) &&
         (json_is_object (out_answer->body) || no_records (error));
}

gboolean
usher_ctl_why (UsherCtl *ctl, GError **error)
{
  g_auto (UsherAnswer) record = { 0 }, answer = { 0 };
  const char *id = ctl->words[0];

  if (ctl->count == 2) {
    const char *kind = usher_ctl_kind (ctl->words[0], error);
    if (kind == NULL || !get_one (ctl, kind, ctl->words[1], &record, error))
      return FALSE;
    id = usher_json_string (record.body, "id");
  }
  if (!ask_why (ctl, id, &answer, error))
    return FALSE;
  print (ctl->output_given && ctl->output != USHER_OUTPUT_TABLE ? usher_output_value (ctl->output, answer.body)
                                                                : explanation_text (answer.body));
  return TRUE;
}

/* The members of `from` that are named, as a new object. */
static json_t *
pick (const json_t *from, const char *const *members)
{
  json_t *picked = json_object ();

  for (gsize i = 0; members[i] != NULL; i++)
    if (json_object_get (from, members[i]) != NULL)
      json_object_set (picked, members[i], json_object_get (from, members[i]));
  return picked;
}

/* A template's versions, short: what `template versions` shows in columns. */
static gboolean
add_versions (UsherCtl *ctl, const char *template, json_t *into, GError **error)
{
  static const char *const of_spec[] = { "version", "note", NULL }, *const of_status[] = { "state", "size", "hosts", "desktops", NULL };
  json_auto_t *records = usher_template_versions (ctl, template, error);
  json_t *versions = json_array (), *record;
  gsize i;

  json_object_set_new (into, "versions", versions);
  json_array_foreach (records, i, record) {
    json_t *version = pick (json_object_get (record, "spec"), of_spec);
    json_object_update_new (version, pick (json_object_get (record, "status"), of_status));
    json_object_set (version, "made", json_object_get (record, "created_at"));
    json_array_append_new (versions, version);
  }
  return records != NULL;
}

/* What instant clones of a template are forked from, on each host. */
static gboolean
add_parents (UsherCtl *ctl, const char *template, json_t *into, GError **error)
{
  static const char *const members[] = { "vcpus", "ram_mib", "state", "reason", NULL };
  g_auto (UsherAnswer) answer = { 0 };
  json_t *parents = json_array (), *host, *parent;
  gsize i, j;

  json_object_set_new (into, "parents", parents);
  if (!usher_client_call (ctl->client, "GET", "/records/host", NULL, &answer, error))
    return FALSE;
  json_array_foreach (json_object_get (answer.body, "items"), i, host)
    json_array_foreach (json_object_get (json_object_get (host, "status"), "parents"), j, parent) {
      const json_t *of = json_object_get (parent, "template");
      json_t *one;
      if (strcmp (usher_json_string (of, "name"), template) != 0)
        continue;
      one = pick (parent, members);
      json_object_set (one, "host", json_object_get (host, "name"));
      json_object_set (one, "version", json_object_get (of, "version"));
      json_array_append_new (parents, one);
    }
  return TRUE;
}

/* What other records tell of this one. */
static gboolean
add_context (UsherCtl *ctl, const char *kind, json_t *record, GError **error)
{
  const char *name = usher_json_string (record, "name");

  if (strcmp (kind, "template") == 0)
    return add_versions (ctl, name, record, error) && add_parents (ctl, name, record, error);
  if (strcmp (kind, "pool") == 0)
    return add_parents (ctl, usher_json_string (json_object_get (record, "spec"), "template"), record, error);
  return TRUE;
}

gboolean
usher_ctl_describe (UsherCtl *ctl, GError **error)
{
  const char *kind = usher_ctl_kind (ctl->words[0], error);
  g_auto (UsherAnswer) record = { 0 }, why = { 0 };

  if (kind == NULL || !get_one (ctl, kind, ctl->words[1], &record, error) || !add_context (ctl, kind, record.body, error) ||
      !ask_why (ctl, usher_json_string (record.body, "id"), &why, error))
    return FALSE;
  json_object_set (record.body, "explanation", json_object_get (why.body, "explanation"));
  print (usher_output_value (ctl->output, record.body));
  return TRUE;
}

gboolean
usher_ctl_delete (UsherCtl *ctl, GError **error)
{
  const char *kind = usher_ctl_kind (ctl->words[0], error);
  g_autofree char *path = NULL;
  g_auto (UsherAnswer) answer = { 0 };

  if (kind == NULL)
    return FALSE;
  path = usher_client_path ("records", kind, ctl->words[1], NULL);
  if (!usher_client_call (ctl->client, "DELETE", path, NULL, &answer, error))
    return FALSE;
  printf ("%s/%s %s\n", kind, ctl->words[1], answer.status == 202 ? "is draining" : "deleted");
  return TRUE;
}

gboolean
usher_ctl_refresh (UsherCtl *ctl, GError **error)
{
  g_autofree char *path = usher_client_path ("records", "desktop", ctl->words[0], "refresh", NULL);
  g_auto (UsherAnswer) answer = { 0 };

  if (!usher_client_call (ctl->client, "POST", path, NULL, &answer, error))
    return FALSE;
  printf ("desktop/%s gets a fresh system\n", ctl->words[0]);
  return TRUE;
}

static void
print_changes (UsherCtl *ctl, const char *kind, const json_t *body, gboolean first)
{
  const json_t *items = json_object_get (body, "items");
  json_t *gone;
  gsize i;

  if (ctl->output == USHER_OUTPUT_JSON) {
    char *line = usher_json_to_line (body);
    print (g_strconcat (line, "\n", NULL));
    g_free (line);
    return;
  }
  if (first || json_array_size (items) > 0)
    print (usher_output_records (ctl->output, kind, items, first));
  json_array_foreach (json_object_get (body, "deleted"), i, gone)
    print (ctl->output == USHER_OUTPUT_YAML ? g_strdup_printf ("---\ndeleted: %s\n", json_string_value (gone))
                                            : g_strdup_printf ("%s deleted\n", json_string_value (gone)));
}

gboolean
usher_ctl_watch (UsherCtl *ctl, GError **error)
{
  const char *kind = usher_ctl_kind (ctl->words[0], error);
  gint64 until_us = g_get_monotonic_time () + (gint64) ctl->options.timeout_s * G_USEC_PER_SEC;
  g_autofree char *list = NULL, *path = NULL;
  gboolean first = TRUE;

  if (kind == NULL)
    return FALSE;
  list = usher_client_path ("records", kind, NULL);
  path = g_strdup (list);
  while (ctl->options.timeout_s <= 0 || g_get_monotonic_time () < until_us) {
    g_auto (UsherAnswer) answer = { 0 };
    g_autoptr (GError) problem = NULL;
    gint64 left_s = (until_us - g_get_monotonic_time ()) / G_USEC_PER_SEC;
    if (usher_client_call (ctl->client, "GET", path, NULL, &answer, &problem)) {
      print_changes (ctl, kind, answer.body, first);
      first = FALSE;
      g_free (path);
      path = g_strdup_printf ("%s?watch=1&after=%" G_GINT64_FORMAT "&timeout_s=%d", list,
                              usher_json_int (answer.body, "resource_version"),
                              ctl->options.timeout_s > 0 ? (int) CLAMP (left_s, 0, 25) : 25);
    } else if (!first && g_error_matches (problem, USHER_ERROR, USHER_ERROR_CONFLICT)) {
      g_free (path); /* away too long: deletions are forgotten, so all of it anew */
      path = g_strdup (list);
    } else if (!first && usher_client_may_pass (problem)) { /* it restarts; a refusal ends the watch */
      fprintf (stderr, "usherctl: %s; asking again\n", problem->message);
      g_usleep (G_USEC_PER_SEC);
    } else {
      g_propagate_error (error, g_steal_pointer (&problem));
      return FALSE;
    }
  }
  return TRUE;
}

gboolean
usher_ctl_host_token (UsherCtl *ctl, GError **error)
{
  g_autofree char *path = usher_client_path ("records", "host", ctl->words[0], "token", NULL);
  g_auto (UsherAnswer) answer = { 0 };

  if (!usher_client_call (ctl->client, "POST", path, NULL, &answer, error))
    return FALSE;
  if (ctl->output_given && ctl->output != USHER_OUTPUT_TABLE && ctl->output != USHER_OUTPUT_NAME) {
    print (usher_output_value (ctl->output, answer.body));
    return TRUE;
  }
  fprintf (stderr, "good once, for %" G_GINT64_FORMAT " s:\n", usher_json_int (answer.body, "expires_in_s"));
  printf ("%s\n", usher_json_string (answer.body, "token"));
  return TRUE;
}
