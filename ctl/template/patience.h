/* Calls that are repeated while the server is away or says "later": with growing pauses, and not forever. */
#pragma once
#include "ctl/client.h"
#include "ctl/progress.h"

typedef struct {
  UsherClient *client;
  UsherProgress *progress; /* where it says that it waits; may be NULL */
  guint tries;             /* in vain since the last success */
} UsherPatience;

/* After a call that failed: waits a while and is TRUE, or gives `problem` (taken) as the error. `retry_after_ms` as the answer said. */
gboolean usher_patience_wait (UsherPatience *patience, guint retry_after_ms, GError *problem, GError **error);

/* usher_client_call() that is repeated; *out_answer is the last one's. */
gboolean usher_patience_call (UsherPatience *patience, const char *method, const char *path, const json_t *body,
                              UsherAnswer *out_answer, GError **error);
