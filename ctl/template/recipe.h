/* Finds and runs the recipes that make templates (templates/README.md). */
#pragma once
#include <gio/gio.h>

/* The program that RECIPE names: a recipe's folder when it has a slash in it, else one of those that came with this program
 * ($USHER_RECIPES; beside an installed usherctl, share/usher/templates; in a build directory, the source's). Owned by the
 * caller. MISSING, with the names of those there are. */
char *usher_recipe_find (const char *recipe, GError **error);

/* Runs it: versions go to `out`, downloads to `downloads`; it shows its phases on standard error. Returns the folder of the newest version,
 * owned by the caller. UNAVAILABLE when it fails. G_IO_ERROR_CANCELLED, when it has ended itself and cleaned up. */
char *usher_recipe_run (const char *program, const char *out, const char *downloads, gboolean rebuild, GCancellable *cancellable,
                        GError **error);
