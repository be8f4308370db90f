#include "broker/store/spec.h"

#include <string.h>

#include "broker/auth/person.h"
#include "common/error.h"
#include "common/json.h"

typedef enum { WORD, TEXT, COUNT, ONE_OF, NAMING } MemberType;

static const char *const modes[] = { "active", "drain", NULL };
static const char *const assignments[] = { "floating", "dedicated", "fresh-system", NULL };
static const char *const clones[] = { "instant", "linked", NULL };

/* The schema of each kind, in one table. */
static const struct {
  UsherKind kind;
  const char *name;
  MemberType type;
  gboolean required;
  gint64 min, max;           /* of a COUNT; length of a TEXT */
  const char *const *one_of; /* of a ONE_OF; NULL-terminated */
} members[] = {
  { USHER_KIND_TEMPLATE, "version", COUNT, TRUE, 1, G_MAXINT32, NULL },
  { USHER_KIND_TEMPLATE, "description", TEXT, FALSE, 0, 2000, NULL },
  { USHER_KIND_POOL, "display_name", TEXT, TRUE, 1, 200, NULL },
  { USHER_KIND_POOL, "description", TEXT, FALSE, 0, 2000, NULL },
  { USHER_KIND_POOL, "template", WORD, TRUE, 0, 0, NULL },
  { USHER_KIND_POOL, "template_version", COUNT, FALSE, 1, G_MAXINT32, NULL },
  { USHER_KIND_POOL, "spares", COUNT, TRUE, 0, 1000, NULL },
  { USHER_KIND_POOL, "maximum", COUNT, TRUE, 1, 10000, NULL },
  { USHER_KIND_POOL, "vcpus", COUNT, TRUE, 1, 64, NULL },
  { USHER_KIND_POOL, "ram_mib", COUNT, TRUE, 64, 1048576, NULL },
  { USHER_KIND_POOL, "naming", NAMING, TRUE, 0, 0, NULL },
  { USHER_KIND_POOL, "assignment", ONE_OF, FALSE, .one_of = assignments },
  { USHER_KIND_POOL, "clone", ONE_OF, FALSE, .one_of = clones },
  { USHER_KIND_POOL, "data_gib", COUNT, FALSE, 1, 65536, NULL },
  { USHER_KIND_POOL, "linger_s", COUNT, FALSE, 0, 604800, NULL },
  { USHER_KIND_ENTITLEMENT, "pool", WORD, TRUE, 0, 0, NULL },
  { USHER_KIND_ENTITLEMENT, "group", TEXT, FALSE, 1, 1000, NULL },
  { USHER_KIND_ENTITLEMENT, "user", TEXT, FALSE, 1, 256, NULL },
  { USHER_KIND_HOST, "mode", ONE_OF, TRUE, .one_of = modes },
};

gboolean
usher_spec_is_applied (UsherKind kind)
{
  return kind == USHER_KIND_TEMPLATE || kind == USHER_KIND_POOL || kind == USHER_KIND_ENTITLEMENT
         || kind == USHER_KIND_HOST;
}

gboolean
usher_spec_is_deleted (UsherKind kind)
{
  return usher_spec_is_applied (kind) || kind == USHER_KIND_DESKTOP;
}

gboolean
usher_spec_name_is_valid (const char *name)
{
  gsize length = name != NULL ? strnlen (name, 64) : 0;
  if (length == 0 || length > 63 || !g_ascii_isalnum (name[0]) || !g_ascii_isalnum (name[length - 1]))
    return FALSE;
  for (gsize i = 0; i < length; i++)
    if (!g_ascii_islower (name[i]) && !g_ascii_isdigit (name[i]) && name[i] != '-' && name[i] != '.')
      return FALSE;
  return TRUE;
}

static gboolean
wrong (UsherJson at, const char *key, const char *problem, GError **error)
{
  g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "%s.%s: %s", at.path, key, problem);
  return FALSE;
}

static gboolean
check_text (UsherJson at, const char *key, gint64 min, gint64 max, GError **error)
{
  const char *text = NULL;
  if (!usher_json_find_string (at, key, &text, error))
    return FALSE;
  if (text == NULL)
    return TRUE;
  glong length = g_utf8_strlen (text, -1);
  if (length < min || length > max)
    {
      g_autofree char *problem = g_strdup_printf ("must be of %d to %d characters", (int) min, (int) max);
      return wrong (at, key, problem, error);
    }
  for (const char *c = text; *c != '\0'; c++)
    if (g_ascii_iscntrl (*c) && *c != '\n')
      return wrong (at, key, "must not hold control characters", error);
  return TRUE;
}

/* "office-{n}" with a number for {n} must be a host name: [a-z0-9-], at most 63, room for six digits. */
static gboolean
check_naming (UsherJson at, const char *key, GError **error)
{
  const char *naming = NULL, *place;
  if (!usher_json_find_string (at, key, &naming, error))
    return FALSE;
  place = naming != NULL ? strstr (naming, "{n}") : NULL;
  if (naming == NULL)
    return TRUE;
  if (place == NULL || strstr (place + 1, "{n}") != NULL)
    return wrong (at, key, "must hold {n} once", error);
  g_autofree char *example = g_strdup_printf ("%.*s999999%s", (int) (place - naming), naming, place + 3);
  if (!usher_spec_name_is_valid (example) || strchr (example, '.') != NULL)
    return wrong (at, key, "must make host names: a-z, 0-9 and - between them, at most 60 characters", error);
  return TRUE;
}

static gboolean
check_member (UsherJson at, gsize i, GError **error)
{
  const char *key = members[i].name, *text = NULL;
  gint64 number = 0;
  int index = 0;
  if (members[i].required && json_object_get (at.object, key) == NULL)
    return wrong (at, key, "is missing", error);
  switch (members[i].type)
    {
    case COUNT:
      return members[i].required ? usher_json_get_int (at, key, members[i].min, members[i].max, &number, error)
                                 : usher_json_find_int (at, key, members[i].min, members[i].max, &number, error);
    case ONE_OF:
      return json_object_get (at.object, key) == NULL
             || usher_json_get_name (at, key, members[i].one_of, g_strv_length ((char **) members[i].one_of), &index, error);
    case NAMING:
      return check_naming (at, key, error);
    case WORD:
      return usher_json_get_string (at, key, &text, error)
             && (usher_spec_name_is_valid (text) || wrong (at, key, "is not a name", error));
    default:
      return check_text (at, key, members[i].min, members[i].max, error);
    }
}

/* Members that only pools of some assignment have. */
static gboolean
check_assignment (UsherJson at, GError **error)
{
  const char *assignment = json_string_value (json_object_get (at.object, "assignment"));
  gboolean fresh = g_strcmp0 (assignment, "fresh-system") == 0, floating = g_strcmp0 (assignment, "floating") == 0;
  if (json_object_get (at.object, "data_gib") != NULL && !fresh)
    return wrong (at, "data_gib", "only a pool whose \"assignment\" is \"fresh-system\" has data disks", error);
  if (json_object_get (at.object, "linger_s") != NULL && !fresh && !floating)
    return wrong (at, "linger_s", "only for a pool whose \"assignment\" is \"floating\" or \"fresh-system\"", error);
  return TRUE;
}

/* What no single member tells. */
static gboolean
check_together (UsherKind kind, UsherJson at, GError **error)
{
  if (kind == USHER_KIND_ENTITLEMENT)
    {
      g_autofree char *key = NULL;
      if ((json_object_get (at.object, "group") != NULL) == (json_object_get (at.object, "user") != NULL))
        return wrong (at, "group", "either \"group\" or \"user\" must be given", error);
      key = usher_spec_entitlement_key (at.object, error);
      return key != NULL;
    }
  if (kind == USHER_KIND_POOL && usher_json_int (at.object, "spares") > usher_json_int (at.object, "maximum"))
    return wrong (at, "spares", "must not be more than \"maximum\"", error);
  return kind != USHER_KIND_POOL || check_assignment (at, error);
}

gboolean
usher_spec_check (UsherKind kind, const char *name, const json_t *spec, GError **error)
{
  const char *known[G_N_ELEMENTS (members) + 1];
  gsize n = 0;
  g_autofree char *path = g_strdup_printf ("%s \"%s\": spec", usher_kind_name (kind), name);
  UsherJson at = { spec, path };

  for (gsize i = 0; i < G_N_ELEMENTS (members); i++)
    if (members[i].kind == kind)
      known[n++] = members[i].name;
  known[n] = NULL;
  if (!usher_json_only (at, known, error))
    return FALSE;
  for (gsize i = 0; i < G_N_ELEMENTS (members); i++)
    if (members[i].kind == kind && !check_member (at, i, error))
      return FALSE;
  return check_together (kind, at, error);
}

/* ---- entitlement keys ---- */

static char *
prefixed (const char *prefix, char *take_key)
{
  g_autofree char *key = take_key;
  return key != NULL ? g_strconcat (prefix, key, NULL) : NULL;
}

char *
usher_spec_entitlement_key (const json_t *spec, GError **error)
{
  const char *group = json_string_value (json_object_get (spec, "group"));
  const char *user = usher_json_string (spec, "user");
  char *key = group == NULL                 ? prefixed ("user:", usher_account_name_key (user))
              : strchr (group, '=') != NULL ? prefixed ("dn:", usher_dn_key (group))
                                            : prefixed ("group:", g_utf8_casefold (group, -1));
  if (key == NULL)
    g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "spec.%s: \"%s\" cannot be the name of one",
                 group != NULL ? "group" : "user", group != NULL ? group : user);
  return key;
}

char **
usher_spec_person_keys (const char *user_key, const char *const *groups, const char *const *group_names)
{
  GPtrArray *keys = g_ptr_array_new ();
  g_ptr_array_add (keys, g_strconcat ("user:", user_key, NULL));
  for (gsize i = 0; groups != NULL && groups[i] != NULL; i++)
    g_ptr_array_add (keys, g_strconcat ("dn:", groups[i], NULL));
  for (gsize i = 0; group_names != NULL && group_names[i] != NULL; i++)
    if (group_names[i][0] != '\0')
      g_ptr_array_add (keys, prefixed ("group:", g_utf8_casefold (group_names[i], -1)));
  g_ptr_array_add (keys, NULL);
  return (char **) g_ptr_array_free (keys, FALSE);
}
