#include "ctl/template/workdir.h"
#include "common/error.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct _UsherWorkdir {
  char *path;
  int lock; /* of the folder itself, held as long as anybody works in it: a child that outlives us has it too */
};

static void
remove_tree (const char *path)
{
  const char *words[] = { "rm", "-rf", "--one-file-system", "--", path, NULL };

  g_spawn_sync (NULL, (char **) words, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL);
}

static int
open_own (const char *path)
{
  int fd = open (path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  struct stat status;

  if (fd >= 0 && (fstat (fd, &status) != 0 || status.st_uid != geteuid () || (status.st_mode & 077) != 0)) {
    close (fd);
    return -1;
  }
  return fd;
}

static void
remove_left (const char *base, const char *prefix)
{
  g_autoptr (GDir) dir = g_dir_open (base, 0, NULL);
  const char *name;

  while (dir != NULL && (name = g_dir_read_name (dir)) != NULL) {
    g_autofree char *path = g_build_filename (base, name, NULL);
    int fd = g_str_has_prefix (name, prefix) ? open_own (path) : -1;
    if (fd < 0)
      continue;
    if (flock (fd, LOCK_EX | LOCK_NB) == 0)
      remove_tree (path);
    close (fd);
  }
}

/* Whether `fd` still is what `path` names: another command may have taken the new folder for one that was left. */
static gboolean
is_there (int fd, const char *path)
{
  struct stat a, b;
  return fstat (fd, &a) == 0 && lstat (path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

UsherWorkdir *
usher_workdir_new (GError **error)
{
  const char *base = g_getenv ("TMPDIR") != NULL ? g_getenv ("TMPDIR") : "/var/tmp";
  g_autofree char *prefix = g_strdup_printf ("usherctl-%u-", (guint) geteuid ());

  remove_left (base, prefix);
  for (guint tries = 0; tries < 10; tries++) {
    g_autofree char *path = g_strdup_printf ("%s/%sXXXXXX", base, prefix);
    int fd;
    if (g_mkdtemp_full (path, 0700) == NULL) {
      g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "no folder can be made in %s: %s", base, g_strerror (errno));
      return NULL;
    }
    fd = open_own (path);
    if (fd >= 0 && flock (fd, LOCK_EX) == 0 && is_there (fd, path)) {
      UsherWorkdir *workdir = g_new0 (UsherWorkdir, 1);
      fcntl (fd, F_SETFD, 0);
      workdir->path = g_steal_pointer (&path);
      workdir->lock = fd;
      return workdir;
    }
    if (fd >= 0)
      close (fd);
  }
  g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "no folder in %s stays", base);
  return NULL;
}

const char *
usher_workdir_get_path (const UsherWorkdir *workdir)
{
  return workdir->path;
}

void
usher_workdir_free (UsherWorkdir *workdir)
{
  if (workdir == NULL)
    return;
  remove_tree (workdir->path);
  close (workdir->lock);
  g_free (workdir->path);
  g_free (workdir);
}
