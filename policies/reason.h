/* Why: one thing that stood in the way, or that a decision rests on. Goes to records and answers as
 * {"rule","message"}. A plain value. */
#pragma once
#include <glib.h>

typedef struct {
  const char *rule; /* a short static word: "memory", "maximum" … */
  char *message;    /* for a person, with the figures */
} UsherReason;

UsherReason *usher_reason_new (const char *rule, const char *format, ...) G_GNUC_PRINTF (2, 3);
void usher_reason_free (UsherReason *reason);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherReason, usher_reason_free)

/* An array that owns UsherReasons. */
GPtrArray *usher_reasons_new (void);
