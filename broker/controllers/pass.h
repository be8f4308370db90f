/* Inside of broker/controllers/: one pass over everything. */
#pragma once
#include "broker/store/store.h"

typedef struct {
  gboolean tick; /* also what only time brings about */
  gboolean look; /* an earlier pass wished to look again just now */
  guint again_s; /* the outcome: look again after so many seconds; 0: no need */
} UsherPass;

/* Does what can be done; a step that fails does not keep the others from being made. FALSE and the first error when one
 * did. */
gboolean usher_pass_make (UsherPass *pass, UsherStore *store, GError **error);
