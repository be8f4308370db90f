#include "policies/reason.h"

UsherReason *
usher_reason_new (const char *rule, const char *format, ...)
{
  UsherReason *reason = g_new0 (UsherReason, 1);
  va_list args;
  va_start (args, format);
  reason->rule = rule;
  reason->message = g_strdup_vprintf (format, args);
  va_end (args);
  return reason;
}

void
usher_reason_free (UsherReason *reason)
{
  if (reason == NULL)
    return;
  g_free (reason->message);
  g_free (reason);
}

GPtrArray *
usher_reasons_new (void)
{
  return g_ptr_array_new_with_free_func ((GDestroyNotify) usher_reason_free);
}
