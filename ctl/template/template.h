/* What the commands that make versions share. */
#pragma once
#include "ctl/command.h"
#include "ctl/template/bundle.h"

/* Before minutes of work: whether the server answers and lets this account make templates. From here on a signal ends calls. */
gboolean usher_template_may_send (UsherCtl *ctl, GCancellable *cancellable, GError **error);

/* Uploads it, publishes it when told to (--publish), and prints what was done. `keep`: see usher_upload(). */
gboolean usher_template_send (UsherCtl *ctl, const UsherBundle *bundle, gboolean keep, GError **error);

/* The records of a template's versions by their numbers: a new array, empty when there are none. */
json_t *usher_template_versions (UsherCtl *ctl, const char *template, GError **error);
