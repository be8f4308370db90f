/* Programs run in a guest by its agent. Blocks; any thread. */
#pragma once
#include "hostd/virt/virt.h"

/* Runs `program` (absolute path in the guest, no arguments) with `input` on standard input, to its end. Success: it
 * ended with 0. UNAVAILABLE: the agent does not answer, or it took longer than `timeout_ms`; INTERNAL: it ended
 * otherwise, with what it wrote to standard error; MISSING: no such domain; REFUSED: the guest has no such program. */
gboolean usher_virt_agent_run (UsherVirt *virt, const char *id, const char *program, const char *input, guint timeout_ms, GError **error);
