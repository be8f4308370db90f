/* /usr/lib/usher/identity: makes a machine that was just forked from a running one a machine of its own.
 *
 * The host runs it through the guest agent right after the fork was resumed, with one document (document.h) on standard
 * input, and a desktop counts as there when it has ended: so it is one small static program that does at once what two
 * machines may not share, and leaves what takes long to identity-later, which goes on by itself. It runs once more when a
 * spare becomes somebody's, told the user alone. Ends with 0 when all of it is done; else with 1 and a line for each
 * failure. With --root DIR it writes files below DIR and touches nothing else. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/random.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "templates/guest/document.h"
#include "templates/guest/ssh_key.h"

#define LATER "/usr/lib/usher/identity-later"
#define MAX_LINKS 16

static const char *root = "";
static int failures;

/* `path` below the root, in one of a few buffers that take turns. */
static const char *
below (const char *path)
{
  static char buffers[4][4096];
  static unsigned int next;
  char *buffer = buffers[next++ % 4];
  snprintf (buffer, sizeof buffers[0], "%s%s", root, path);
  return buffer;
}

static void __attribute__ ((format (printf, 1, 2)))
fail (const char *format, ...)
{
  va_list arguments;
  int reason = errno;
  va_start (arguments, format);
  fputs ("identity: ", stderr);
  vfprintf (stderr, format, arguments);
  fprintf (stderr, ": %s\n", strerror (reason));
  va_end (arguments);
  failures++;
}

static bool
is_there (const char *path)
{
  return access (below (path), F_OK) == 0;
}

/* Replaces the file by rename, so that a reader sees the old text or the new; in place where something is mounted on it. */
static void
write_file (const char *path, const char *text, mode_t mode)
{
  char draft[4096];
  size_t length = strlen (text);
  snprintf (draft, sizeof draft, "%s.usher-new", below (path));
  unlink (draft);
  int file = open (draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
  bool written = file >= 0 && write (file, text, length) == (ssize_t) length && rename (draft, below (path)) == 0;
  if (file >= 0)
    close (file);
  if (written)
    return;
  int reason = errno;
  unlink (draft);
  errno = reason;
  file = reason == EBUSY ? open (below (path), O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC) : -1;
  if (file < 0 || write (file, text, length) != (ssize_t) length)
    fail ("%s", path);
  if (file >= 0)
    close (file);
}

static void
remove_files (const char *pattern)
{
  glob_t found;
  if (glob (below (pattern), GLOB_NOSORT, NULL, &found) != 0)
    return;
  for (size_t i = 0; i < found.gl_pathc; i++)
    if (unlink (found.gl_pathv[i]) != 0 && errno != ENOENT)
      fail ("%s", found.gl_pathv[i]);
  globfree (&found);
}

/* A program that was making keys when the parent was frozen would go on in every fork and make the same key in each,
 * for its random numbers are in its memory. */
static void
stop_key_makers (void)
{
  int file = open ("/sys/fs/cgroup/system.slice/usher-first-boot.service/cgroup.kill", O_WRONLY | O_CLOEXEC);
  if (file < 0)
    return; /* not running, or no systemd */
  if (write (file, "1", 1) != 1)
    fail ("stopping usher-first-boot");
  close (file);
}

/* The kernel has mixed in the machine's generation ID by itself (vmgenid); this does not rely on it. */
static void
feed_random_pool (const UsherGuestDocument *document)
{
  union {
    struct rand_pool_info info;
    unsigned char room[sizeof (struct rand_pool_info) + USHER_GUEST_SEED_SIZE];
  } pool = { .info = { .entropy_count = 8 * USHER_GUEST_SEED_SIZE, .buf_size = USHER_GUEST_SEED_SIZE } };
  memcpy (pool.room + sizeof pool.info, document->seed, USHER_GUEST_SEED_SIZE);
  int device = open ("/dev/urandom", O_RDWR | O_CLOEXEC);
  if (device < 0 || ioctl (device, RNDADDENTROPY, &pool) != 0 || ioctl (device, RNDRESEEDCRNG) != 0)
    fail ("/dev/urandom");
  if (device >= 0)
    close (device);
}

static void
set_name (const UsherGuestDocument *document)
{
  char line[80];
  snprintf (line, sizeof line, "%s\n", document->hostname);
  write_file ("/etc/hostname", line, 0644);
  if (*root == '\0' && sethostname (document->hostname, strlen (document->hostname)) != 0)
    fail ("host name");
}

static void
set_machine_id (const UsherGuestDocument *document)
{
  struct stat status;
  char line[40];
  snprintf (line, sizeof line, "%s\n", document->machine_id);
  write_file ("/etc/machine-id", line, 0644);
  if (lstat (below ("/var/lib/dbus/machine-id"), &status) == 0 && S_ISREG (status.st_mode)) /* often a link to the other */
    write_file ("/var/lib/dbus/machine-id", line, 0644);
}

/* The keys of other kinds come later. */
static void
make_ssh_key (const UsherGuestDocument *document)
{
  char comment[80], private[USHER_SSH_KEY_SIZE], public[USHER_SSH_PUBLIC_SIZE];
  remove_files ("/etc/ssh/ssh_host_*_key*");
  if (!is_there ("/usr/sbin/sshd"))
    return;
  snprintf (comment, sizeof comment, "root@%s", document->hostname);
  usher_ssh_key_make (comment, private, public);
  write_file ("/etc/ssh/ssh_host_ed25519_key", private, 0600);
  write_file ("/etc/ssh/ssh_host_ed25519_key.pub", public, 0644);
  explicit_bzero (private, sizeof private);
}

/* What it was told, but for the seed, for whoever wants to know; and whose identity is on this disk, for the next boot. */
static void
write_record (const UsherGuestDocument *document)
{
  char user[2 * sizeof document->user], record[1024], line[80];
  size_t length = 0;
  for (const char *c = document->user; *c != '\0'; c++)
    {
      if (*c == '"' || *c == '\\')
        user[length++] = '\\';
      user[length++] = *c;
    }
  user[length] = '\0';
  mkdir (below ("/run/usher"), 0755);
  mkdir (below ("/var/lib/usher"), 0755);
  snprintf (record, sizeof record, "{\"hostname\": \"%s\", \"machine_id\": \"%s\", \"user\": \"%s\", \"time\": %lld.%09ld}\n",
            document->hostname, document->machine_id, user, (long long) document->time.tv_sec, document->time.tv_nsec);
  write_file ("/run/usher/identity", record, 0644);
  snprintf (line, sizeof line, "%s\n", document->hostname);
  write_file ("/var/lib/usher/identity-of", line, 0644);
}

/* The names of the wired links that were up already, and so may have told the DHCP server the old host name. */
static void
find_links (char *out_links[MAX_LINKS + 1])
{
  size_t count = 0;
  struct if_nameindex *links = if_nameindex ();
  int probe = socket (AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  for (struct if_nameindex *link = links; link != NULL && link->if_index != 0 && count < MAX_LINKS; link++)
    {
      struct ifreq request = { 0 };
      snprintf (request.ifr_name, sizeof request.ifr_name, "%s", link->if_name);
      if (link->if_name[0] == 'e' && ioctl (probe, SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_UP) != 0)
        out_links[count++] = strdup (link->if_name);
    }
  out_links[count] = NULL;
  if (links != NULL)
    if_freenameindex (links);
  if (probe >= 0)
    close (probe);
}

/* Leaves the rest to identity-later, which no longer holds our standard output: the guest agent waits for its end. */
static void
begin_rest (const UsherGuestDocument *document, char *const links[])
{
  char *arguments[MAX_LINKS + 2] = { LATER };
  if (!is_there (LATER))
    return;
  for (size_t i = 0; links[i] != NULL; i++)
    arguments[i + 1] = links[i];
  pid_t child = fork ();
  if (child < 0)
    fail (LATER);
  if (child != 0)
    return;
  int nothing = open ("/dev/null", O_RDWR);
  for (int stream = 0; stream < 3; stream++)
    dup2 (nothing, stream);
  setsid ();
  setenv ("USHER_HOSTNAME", document->hostname, 1);
  setenv ("USHER_MACHINE_ID", document->machine_id, 1);
  setenv ("USHER_USER", document->user, 1);
  execv (LATER, arguments);
  _exit (127);
}

/* What the machine is already, of a document that does not say it. */
static void
read_own (const char *path, char *out, size_t size)
{
  FILE *file = fopen (below (path), "re");
  if (file == NULL || fgets (out, (int) size, file) == NULL)
    fail ("%s", path);
  if (file != NULL)
    fclose (file);
  out[strcspn (out, "\n")] = '\0';
}

static void
complete (UsherGuestDocument *document)
{
  read_own ("/etc/hostname", document->hostname, sizeof document->hostname);
  read_own ("/etc/machine-id", document->machine_id, sizeof document->machine_id);
  clock_gettime (CLOCK_REALTIME, &document->time);
}

static bool
read_document (UsherGuestDocument *out)
{
  static char text[USHER_GUEST_DOCUMENT_MAX + 1];
  char error[USHER_GUEST_ERROR_SIZE];
  size_t length = 0;
  ssize_t got;
  while (length < sizeof text && (got = read (0, text + length, sizeof text - length)) != 0)
    {
      if (got < 0)
        {
          fail ("standard input");
          return false;
        }
      length += (size_t) got;
    }
  if (length > USHER_GUEST_DOCUMENT_MAX)
    fprintf (stderr, "identity: standard input: more than %d octets\n", USHER_GUEST_DOCUMENT_MAX);
  else if (!usher_guest_document_parse (text, length, out, error))
    fprintf (stderr, "identity: standard input: %s\n", error);
  else
    return true;
  return false;
}

/* All that a fork of another machine needs to be one of its own. */
static void
become (const UsherGuestDocument *document, char *out_links[MAX_LINKS + 1])
{
  if (*root == '\0')
    {
      find_links (out_links);
      stop_key_makers ();
      feed_random_pool (document);
      if (clock_settime (CLOCK_REALTIME, &document->time) != 0)
        fail ("clock");
    }
  set_name (document);
  set_machine_id (document);
  make_ssh_key (document);
  remove_files ("/etc/xrdp/rsakeys.ini");
  remove_files ("/etc/ssl/private/ssl-cert-snakeoil.key");
  remove_files ("/etc/ssl/certs/ssl-cert-snakeoil.pem");
}

int
main (int argc, char **argv)
{
  UsherGuestDocument document;
  char *links[MAX_LINKS + 1] = { NULL };
  if (argc == 3 && strcmp (argv[1], "--root") == 0)
    root = argv[2];
  else if (argc != 1)
    {
      fputs ("usage: identity [--root DIR] < DOCUMENT\n", stderr);
      return 2;
    }
  if (!read_document (&document))
    return 1;
  umask (022);
  if (document.user_only)
    complete (&document);
  else
    become (&document, links);
  write_record (&document);
  if (*root == '\0')
    begin_rest (&document, links);
  return failures == 0 ? 0 : 1;
}
