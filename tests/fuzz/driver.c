/* Runs a fuzz target over the files named on the command line, each once, then over mutations of them: the
 * corpus as a test. With --enable-fuzzers libFuzzer's own main takes this one's place.
 *
 * The mutations come from a fixed seed (USHER_FUZZ_SEED gives another), so a failure comes again; they end after
 * MUTATIONS_A_FILE for each file or SECONDS_MAX for all. What was being run when the target dies is
 * written to standard error. */
#include <glib.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/fuzz/fuzz.h"

#define MUTATIONS_A_FILE 2000
#define SECONDS_MAX 5
#define GROW_MAX 64
#define SHOWN_MAX 512

static const guint8 *now_bytes;
static gsize now_length;

/* Async-signal-safe: the input in hexadecimal. */
static void
show_input (int number)
{
  static const char digits[] = "0123456789abcdef", head[] = "the input was (hexadecimal): ";
  char text[2 * SHOWN_MAX + 1];
  gsize n = 0;
  for (gsize i = 0; i < now_length && i < SHOWN_MAX; i++)
    {
      text[n++] = digits[now_bytes[i] >> 4];
      text[n++] = digits[now_bytes[i] & 15];
    }
  text[n++] = '\n';
  if (write (STDERR_FILENO, head, sizeof head - 1) > 0 && write (STDERR_FILENO, text, n) > 0)
    fsync (STDERR_FILENO);
  signal (number, SIG_DFL);
  raise (number);
}

static void
run_one (const guint8 *bytes, gsize length)
{
  /* A copy of just that size, so that a sanitizer sees every byte read beyond it; never NULL. */
  guint8 *exact = malloc (length);
  if (length > 0)
    memcpy (exact, bytes, length);
  now_bytes = exact;
  now_length = length;
  LLVMFuzzerTestOneInput (exact, length);
  now_length = 0;
  free (exact);
}

/* One small change: a byte, a bit, a cut, a doubled piece, or a number at its edge. */
static void
mutate (GByteArray *bytes, GRand *rand)
{
  static const guint8 edges[] = { 0x00, 0x01, 0x7f, 0x80, 0xff, '\r', '\n', '"', '{', ':' };
  if (bytes->len == 0)
    {
      g_byte_array_append (bytes, edges, 1);
      return;
    }
  const guint at = (guint) g_rand_int_range (rand, 0, (gint32) bytes->len);
  const guint n = (guint) g_rand_int_range (rand, 1, (gint32) MIN (bytes->len - at, GROW_MAX) + 1);
  guint8 piece[GROW_MAX];
  switch (g_rand_int_range (rand, 0, 5))
    {
    case 0:
      bytes->data[at] = (guint8) g_rand_int_range (rand, 0, 256);
      break;
    case 1:
      bytes->data[at] ^= (guint8) (1u << g_rand_int_range (rand, 0, 8));
      break;
    case 2:
      g_byte_array_remove_range (bytes, at, n);
      break;
    case 3:
      memcpy (piece, bytes->data + at, n);
      g_byte_array_append (bytes, piece, n);
      break;
    default:
      bytes->data[at] = edges[g_rand_int_range (rand, 0, G_N_ELEMENTS (edges))];
    }
}

static guint
run_mutations (GPtrArray *files, guint seed)
{
  guint count = 0;
  GRand *rand = g_rand_new_with_seed (seed);
  const gint64 until = g_get_monotonic_time () + SECONDS_MAX * G_USEC_PER_SEC;
  for (guint round = 0; round < MUTATIONS_A_FILE && g_get_monotonic_time () < until; round++)
    for (guint i = 0; i < files->len; i++, count++)
      {
        const GBytes *file = files->pdata[i];
        gsize length = 0;
        const guint8 *data = g_bytes_get_data ((GBytes *) file, &length);
        g_autoptr (GByteArray) changed = g_byte_array_new ();
        g_byte_array_append (changed, data, (guint) length);
        for (gint32 times = g_rand_int_range (rand, 1, 5); times > 0; times--)
          mutate (changed, rand);
        run_one (changed->data, changed->len);
      }
  g_rand_free (rand);
  return count;
}

int
main (int argc, char **argv)
{
  g_autoptr (GPtrArray) files = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);
  const char *seed = g_getenv ("USHER_FUZZ_SEED");
  signal (SIGABRT, show_input);
  signal (SIGSEGV, show_input);
  for (int i = 1; i < argc; i++)
    {
      char *bytes = NULL;
      gsize length = 0;
      g_autoptr (GError) error = NULL;
      if (!g_file_get_contents (argv[i], &bytes, &length, &error))
        {
          fprintf (stderr, "%s\n", error->message);
          return 1;
        }
      run_one ((const guint8 *) bytes, length);
      g_ptr_array_add (files, g_bytes_new_take (bytes, length));
    }
  const guint mutations = run_mutations (files, seed != NULL ? (guint) strtoul (seed, NULL, 10) : 1);
  printf ("%d files, %u mutations\n", argc - 1, mutations);
  return argc > 1 ? 0 : 1;
}
