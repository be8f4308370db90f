/* How far a transfer has come, on standard error: a bar on a terminal, else a plain line now and then. */
#pragma once
#include <glib.h>

typedef struct _UsherProgress UsherProgress;

/* `what` is the file's name. `done` of `total` bytes are there already (a transfer that goes on). */
UsherProgress *usher_progress_new (const char *what, guint64 done, guint64 total);

/* Of what is not counted in bytes: usher_progress_at() takes hundredths of a percent. */
UsherProgress *usher_progress_new_percent (const char *what);

void usher_progress_at (UsherProgress *progress, guint64 done);

/* A line of its own above the bar. */
void usher_progress_say (UsherProgress *progress, const char *format, ...) G_GNUC_PRINTF (2, 3);

/* Ends the line: with size, time and rate when all of it is done. */
void usher_progress_free (UsherProgress *progress);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherProgress, usher_progress_free)

typedef struct {
  const char *what;
  guint64 before, done, total; /* bytes; `before` were there when it began */
  gint64 elapsed_ms;
  gboolean percent;            /* nothing is said of bytes */
} UsherProgressState;

/* Pure. "disk.qcow2  [####      ]  45%  160.0 MiB of 352.4 MiB  80.0 MiB/s  2 s left" in less than `width` columns (0: without a
 * bar, for plain lines). Owned by the caller. */
char *usher_progress_line (const UsherProgressState *state, guint width);

/* "352.4 MiB": of the largest unit that gives at least 1; owned by the caller. */
char *usher_progress_size (guint64 bytes);
