/* Runs a fuzz target over the files named on the command line, each once: the corpus as a test. With
 * --enable-fuzzers libFuzzer's own main takes this one's place. */
#include <glib.h>
#include <stdio.h>
#include "tests/fuzz/fuzz.h"

int
main (int argc, char **argv)
{
  for (int i = 1; i < argc; i++) {
    g_autofree char *bytes = NULL;
    gsize length = 0;
    g_autoptr (GError) error = NULL;
    if (!g_file_get_contents (argv[i], &bytes, &length, &error)) {
      fprintf (stderr, "%s\n", error->message);
      return 1;
    }
    LLVMFuzzerTestOneInput ((const guint8 *) bytes, length);
  }
  printf ("%d files\n", argc - 1);
  return argc > 1 ? 0 : 1;
}
