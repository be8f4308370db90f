/* Ctrl-C, TERM and hang-up for commands that have something to clean up: they become a cancellable, and the command
 * ends by itself, with everything its cleanups do. */
#pragma once
#include <gio/gio.h>

/* From now on the signals only cancel (a second one ends the process at once). Idempotent; the cancellable is the
 * process's own, borrowed. */
GCancellable *usher_interrupt_watch (void);

/* The signal that came, 0 when none did. */
int usher_interrupt_signal (void);

/* Waits; FALSE with G_IO_ERROR_CANCELLED when a signal came. */
gboolean usher_interrupt_sleep (guint ms, GError **error);

/* In a child between fork and exec: signals as a program expects them. Async-signal-safe. */
void usher_interrupt_forget (void);
