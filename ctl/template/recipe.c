#include "ctl/template/recipe.h"
#include "common/error.h"
#include "ctl/interrupt.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define END_S 30 /* for a recipe to clean up after itself */

/* Folders with recipes, the first that is there counts. */
static char *
find_folder (void)
{
  g_autofree char *program = g_file_read_link ("/proc/self/exe", NULL);
  g_autofree char *bin = g_path_get_dirname (program != NULL ? program : "/usr/bin/usherctl");
  static const char *const beside[] = { "../share/usher/templates", "../templates" };
  const char *told = g_getenv ("USHER_RECIPES");

  if (told != NULL)
    return g_strdup (told);
  for (gsize i = 0; i < G_N_ELEMENTS (beside); i++) {
    g_autofree char *folder = g_canonicalize_filename (beside[i], bin);
    g_autofree char *mark = g_build_filename (folder, "lib", "recipe.sh", NULL);
    if (g_file_test (mark, G_FILE_TEST_EXISTS))
      return g_steal_pointer (&folder);
  }
  return NULL;
}

static char *
list_recipes (const char *folder)
{
  g_autoptr (GDir) dir = folder != NULL ? g_dir_open (folder, 0, NULL) : NULL;
  GString *names = g_string_new (NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *program = g_build_filename (folder, name, "build", NULL);
    if (g_file_test (program, G_FILE_TEST_IS_EXECUTABLE))
      g_string_append_printf (names, "%s%s", names->len > 0 ? ", " : "", name);
  }
  return g_string_free (names, FALSE);
}

char *
usher_recipe_find (const char *recipe, GError **error)
{
  g_autofree char *folder = strchr (recipe, '/') == NULL ? find_folder () : g_strdup (".");
  g_autofree char *program = folder != NULL ? g_build_filename (folder, recipe, "build", NULL) : NULL;
  g_autofree char *all = NULL;

  if (strchr (recipe, '/') != NULL) {
    g_free (program);
    program = g_build_filename (recipe, "build", NULL);
  }
  if (program != NULL && g_file_test (program, G_FILE_TEST_IS_EXECUTABLE) && !g_file_test (program, G_FILE_TEST_IS_DIR))
    return g_canonicalize_filename (program, NULL);
  all = strchr (recipe, '/') == NULL ? list_recipes (folder) : g_strdup ("");
  if (*all != '\0')
    g_set_error (error, USHER_ERROR, USHER_ERROR_MISSING, "there is no recipe «%s» in %s; there are %s", recipe, folder, all);
  else
    g_set_error (error, USHER_ERROR, USHER_ERROR_MISSING, "there is no recipe «%s»: name its folder (as in ./templates/tiny), or set $USHER_RECIPES",
                 recipe);
  return NULL;
}

/* Its own process group: Ctrl-C on the terminal is for us, who then ask it to end. */
static void
in_child (gpointer user_data)
{
  usher_interrupt_forget ();
  setpgid (0, 0);
  dup2 (STDERR_FILENO, STDOUT_FILENO);
  prctl (PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
}

/* Waits at most `ms` (-1: for ever) or until `cancellable`; TRUE when it has ended. */
static gboolean
has_ended (int pidfd, int ms, GCancellable *cancellable)
{
  struct pollfd fds[] = { { pidfd, POLLIN, 0 }, { cancellable != NULL ? g_cancellable_get_fd (cancellable) : -1, POLLIN, 0 } };

  while (poll (fds, G_N_ELEMENTS (fds), ms) < 0 && errno == EINTR)
    continue;
  if (cancellable != NULL)
    g_cancellable_release_fd (cancellable);
  return fds[0].revents != 0;
}

static gboolean
wait_for (GPid pid, const char *program, GCancellable *cancellable, GError **error)
{
  int pidfd = (int) syscall (SYS_pidfd_open, pid, 0), status = 0;

  if (pidfd < 0 || !has_ended (pidfd, -1, cancellable)) {
    kill (-pid, SIGTERM);
    if (pidfd < 0 || !has_ended (pidfd, END_S * 1000, NULL))
      kill (-pid, SIGKILL);
  }
  while (waitpid (pid, &status, 0) < 0 && errno == EINTR)
    continue;
  if (pidfd >= 0)
    close (pidfd);
  if (g_cancellable_set_error_if_cancelled (cancellable, error))
    return FALSE;
  if (WIFEXITED (status) && WEXITSTATUS (status) == 0)
    return TRUE;
  g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "the recipe failed: %s ended with %s %d", program,
               WIFEXITED (status) ? "status" : "signal", WIFEXITED (status) ? WEXITSTATUS (status) : WTERMSIG (status));
  return FALSE;
}

/* OUT/NAME/VERSION of the greatest VERSION; the recipe's folder has the template's name. */
static char *
find_newest (const char *program, const char *out, GError **error)
{
  g_autofree char *recipe = g_path_get_dirname (program);
  g_autofree char *name = g_path_get_basename (recipe);
  g_autofree char *folder = g_build_filename (out, name, NULL);
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  guint64 newest = 0, number;
  const char *entry;

  while (dir != NULL && (entry = g_dir_read_name (dir)) != NULL)
    if (g_ascii_string_to_unsigned (entry, 10, 1, G_MAXINT32, &number, NULL))
      newest = MAX (newest, number);
  if (newest > 0)
    return g_strdup_printf ("%s/%" G_GUINT64_FORMAT, folder, newest);
  g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "the recipe made nothing in %s", folder);
  return NULL;
}

char *
usher_recipe_run (const char *program, const char *out, const char *downloads, gboolean rebuild, GCancellable *cancellable,
                  GError **error)
{
  const char *words[] = { program, out, "--cache", downloads, rebuild ? "--rebuild" : NULL, NULL };
  GError *problem = NULL;
  GPid pid;

  fflush (stderr);
  if (!g_spawn_async (NULL, (char **) words, NULL, G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_LEAVE_DESCRIPTORS_OPEN, in_child, NULL, &pid, &problem)) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "%s", problem->message);
    g_error_free (problem);
    return NULL;
  }
  return wait_for (pid, program, cancellable, error) ? find_newest (program, out, error) : NULL;
}
