#include "ctl/progress.h"
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define REDRAW_MS 100
#define PLAIN_MS 5000
#define BAR_MAX 30u

struct _UsherProgress {
  char *what;
  guint64 before, done, total;
  gint64 begun_us, shown_us;
  gboolean terminal, percent;
};

char *
usher_progress_size (guint64 bytes)
{
  static const char *const units[] = { "KiB", "MiB", "GiB", "TiB" };
  double value = (double) bytes / 1024;
  guint unit = 0;

  if (bytes < 1024)
    return g_strdup_printf ("%u B", (guint) bytes);
  for (; value >= 1024 && unit + 1 < G_N_ELEMENTS (units); unit++)
    value /= 1024;
  return g_strdup_printf ("%.1f %s", value, units[unit]);
}

static char *
dup_time (gint64 seconds)
{
  if (seconds < 100)
    return g_strdup_printf ("%d s", (int) seconds);
  if (seconds < 100 * 60)
    return g_strdup_printf ("%d min", (int) ((seconds + 30) / 60));
  return g_strdup_printf ("%d h", (int) ((seconds + 1800) / 3600));
}

static void
append_bar (GString *line, guint64 done, guint64 total, guint width)
{
  guint columns = MIN (width, BAR_MAX), filled;

  if (columns < 5)
    return;
  columns -= 3; /* the brackets and the blank */
  filled = total > 0 ? (guint) ((double) done / (double) total * columns) : columns;
  g_string_append_c (line, '[');
  for (guint i = 0; i < columns; i++)
    g_string_append_c (line, i < filled ? '#' : ' ');
  g_string_append (line, "] ");
}

static void
append_figures (GString *figures, const UsherProgressState *state)
{
  double rate = state->elapsed_ms > 0 && state->done > state->before ? (double) (state->done - state->before) * 1000 / (double) state->elapsed_ms : 0;

  g_string_append_printf (figures, "%3d%%", state->total > 0 ? (int) ((double) state->done / (double) state->total * 100) : 100);
  if (!state->percent) {
    g_autofree char *have = usher_progress_size (state->done), *all = usher_progress_size (state->total);
    g_autofree char *speed = usher_progress_size ((guint64) rate);
    g_string_append_printf (figures, "  %s of %s", have, all);
    if (rate >= 1)
      g_string_append_printf (figures, "  %s/s", speed);
  }
  if (rate >= 1) {
    g_autofree char *left = dup_time ((gint64) ((double) (state->total - state->done) / rate + 0.5));
    g_string_append_printf (figures, "  %s left", left);
  }
}

char *
usher_progress_line (const UsherProgressState *state, guint width)
{
  GString *line = g_string_new (NULL);
  g_autoptr (GString) figures = g_string_new (NULL);

  append_figures (figures, state);
  g_string_append_printf (line, "%s  ", state->what);
  if (width > 0 && line->len + figures->len + 1 < width)
    append_bar (line, state->done, state->total, width - (guint) (line->len + figures->len + 1));
  g_string_append (line, figures->str);
  if (width > 0 && line->len >= width)
    g_string_truncate (line, width - 1);
  return g_string_free (line, FALSE);
}

static guint
terminal_width (void)
{
  struct winsize size;
  return ioctl (STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 20 ? size.ws_col : 80;
}

static void
show (UsherProgress *progress)
{
  const UsherProgressState state = { progress->what, progress->before, progress->done, progress->total,
                                     (progress->shown_us - progress->begun_us) / 1000, progress->percent };
  g_autofree char *line = usher_progress_line (&state, progress->terminal ? terminal_width () : 0);

  fprintf (stderr, progress->terminal ? "\r%s\033[K" : "%s\n", line);
}

UsherProgress *
usher_progress_new (const char *what, guint64 done, guint64 total)
{
  UsherProgress *progress = g_new0 (UsherProgress, 1);

  progress->what = g_strdup (what);
  progress->before = progress->done = MIN (done, total);
  progress->total = total;
  progress->begun_us = progress->shown_us = g_get_monotonic_time ();
  progress->terminal = isatty (STDERR_FILENO) && g_strcmp0 (g_getenv ("TERM"), "dumb") != 0;
  if (progress->terminal)
    show (progress);
  return progress;
}

UsherProgress *
usher_progress_new_percent (const char *what)
{
  UsherProgress *progress = usher_progress_new (what, 0, 100 * 100);

  progress->percent = TRUE;
  return progress;
}

void
usher_progress_at (UsherProgress *progress, guint64 done)
{
  gint64 now = g_get_monotonic_time ();

  progress->done = MIN (done, progress->total);
  if (now - progress->shown_us < (progress->terminal ? REDRAW_MS : PLAIN_MS) * 1000)
    return;
  progress->shown_us = now;
  show (progress);
}

void
usher_progress_say (UsherProgress *progress, const char *format, ...)
{
  va_list arguments;

  fputs (progress->terminal ? "\r\033[K" : "", stderr);
  va_start (arguments, format);
  vfprintf (stderr, format, arguments);
  va_end (arguments);
  fputc ('\n', stderr);
}

static void
say_done (const UsherProgress *progress)
{
  double seconds = (double) MAX (g_get_monotonic_time () - progress->begun_us, 1) / G_USEC_PER_SEC;
  g_autofree char *size = usher_progress_size (progress->total);
  g_autofree char *rate = usher_progress_size ((guint64) ((double) (progress->done - progress->before) / seconds));

  fprintf (stderr, "%s%s", progress->terminal ? "\r\033[K" : "", progress->what);
  if (progress->percent)
    fprintf (stderr, "  done in %.1f s\n", seconds);
  else
    fprintf (stderr, "  %s in %.1f s (%s/s)\n", size, seconds, rate);
}

void
usher_progress_free (UsherProgress *progress)
{
  if (progress == NULL)
    return;
  if (progress->done == progress->total)
    say_done (progress);
  else if (progress->terminal)
    fputc ('\n', stderr);
  g_free (progress->what);
  g_free (progress);
}
