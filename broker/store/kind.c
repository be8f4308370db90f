#include "broker/store/kind.h"

static const char *const names[USHER_KINDS] = {
  [USHER_KIND_TEMPLATE] = "template", [USHER_KIND_TEMPLATE_VERSION] = "template-version",
  [USHER_KIND_POOL] = "pool",         [USHER_KIND_ENTITLEMENT] = "entitlement",
  [USHER_KIND_HOST] = "host",         [USHER_KIND_DESKTOP] = "desktop", [USHER_KIND_SESSION] = "session",
  [USHER_KIND_AUDIT] = "audit",
};

const char *
usher_kind_name (UsherKind kind)
{
  return names[kind];
}

gboolean
usher_kind_parse (const char *name, UsherKind *out)
{
  for (int kind = 0; kind < USHER_KINDS; kind++)
    if (g_strcmp0 (name, names[kind]) == 0)
      {
        *out = kind;
        return TRUE;
      }
  return FALSE;
}
