/* The kinds of records, and what a change notification tells of them. */
#pragma once
#include <glib.h>

typedef enum {
  USHER_KIND_TEMPLATE,
  USHER_KIND_TEMPLATE_VERSION,
  USHER_KIND_POOL,
  USHER_KIND_ENTITLEMENT,
  USHER_KIND_HOST,
  USHER_KIND_DESKTOP,
  USHER_KIND_SESSION,
  USHER_KIND_AUDIT,
} UsherKind;
#define USHER_KINDS (USHER_KIND_AUDIT + 1)

/* The bit of a kind in a set of kinds. */
#define USHER_KIND_BIT(kind) (1u << (kind))
#define USHER_KIND_ALL ((1u << USHER_KINDS) - 1)

/* "template" … "audit"; static. */
const char *usher_kind_name (UsherKind kind);

/* FALSE when `name` is none of them (or NULL). Safe on untrusted text. */
gboolean usher_kind_parse (const char *name, UsherKind *out);
