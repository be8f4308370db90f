/* What the headers promise and is not written yet: says so. */
#include "common/error.h"
#include "hostd/clone/fork.h"

static gboolean
unfinished (GError **error)
{
  g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "instant clones cannot be made by this version yet");
  return FALSE;
}

struct _UsherParents { int nothing; };

UsherParents *
usher_parents_new (const UsherParentsConfig *config, GError **error)
{
  return g_new0 (UsherParents, 1);
}

void
usher_parents_free (UsherParents *parents)
{
  g_free (parents);
}

GPtrArray *
usher_parents_list (UsherParents *parents, GError **error)
{
  return g_ptr_array_new_with_free_func ((GDestroyNotify) usher_parent_found_free);
}

void
usher_parent_found_free (UsherParentFound *found)
{
  g_free (found);
}

gboolean
usher_parents_begin (UsherParents *parents, const UsherParentKey *key, GError **error)
{
  return unfinished (error);
}

gboolean
usher_parents_is_ready (UsherParents *parents, const UsherParentKey *key, gboolean *out_ready, GError **error)
{
  return unfinished (error);
}

gboolean
usher_parents_freeze (UsherParents *parents, const UsherParentKey *key, GError **error)
{
  return unfinished (error);
}

gboolean
usher_parents_load (UsherParents *parents, const UsherParentKey *key, GError **error)
{
  return unfinished (error);
}

gboolean
usher_parents_discard (UsherParents *parents, const UsherParentKey *key, GError **error)
{
  return unfinished (error);
}

gboolean
usher_parents_retire (UsherParents *parents, const UsherParentKey *key, GError **error)
{
  return unfinished (error);
}

gboolean
usher_parents_collect (UsherParents *parents, GError **error)
{
  return TRUE;
}

UsherParent *
usher_parents_hold (UsherParents *parents, const UsherParentKey *key)
{
  return NULL;
}

void
usher_parent_release (UsherParent *parent)
{
}

const char *
usher_parent_get_disk (const UsherParent *parent)
{
  return NULL;
}

gboolean
usher_clone_fork (UsherParents *parents, UsherParent *parent, const UsherDomainSpec *cold, const UsherForkOrder *order,
                  GError **error)
{
  return unfinished (error);
}
