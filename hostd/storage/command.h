/* Running one program to its end, for a worker thread. */
#pragma once
#include <glib.h>

/* Runs argv[0] (searched in PATH), without a shell, standard input empty. Fails with UNAVAILABLE when it can't be
 * run or takes longer than `timeout_s` (it is killed then), EXHAUSTED when it says that the disk is full, INTERNAL
 * when it ends otherwise than with 0; the message holds what it wrote to standard error. It does not outlive us. */
gboolean usher_command_run (const char *const *argv, guint timeout_s, GError **error);
