/* usher-emulator: what libvirt starts in QEMU's place for parents and forks. It asks hostd for the golden RAM, gives
 * it a fixed descriptor number, and becomes QEMU. Anything else libvirt starts it for (to learn what this QEMU can do)
 * goes to QEMU as it is.
 *
 * It runs as QEMU's user and with QEMU's confinement. What it says on standard error, libvirt shows as the reason a
 * start failed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "hostd/clone/emulator.h"
#include "hostd/clone/handover.h"

#ifndef USHER_QEMU
#define USHER_QEMU "/usr/bin/qemu-system-x86_64"
#endif

/* Says why, and returns -1. */
static int
fail (const char *what, const char *why)
{
  fprintf (stderr, "usher-emulator: %s: %s\n", what, why);
  return -1;
}

static int
connect_to (const char *path)
{
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  struct timeval wait = { .tv_sec = USHER_HANDOVER_WAIT_S };
  if (strlen (path) >= sizeof address.sun_path)
    return fail (path, "too long for a socket's path");
  memcpy (address.sun_path, path, strlen (path));
  int fd = socket (AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return fail ("socket", strerror (errno));
  /* The send timeout bounds connect() too, should hostd's queue be full. */
  setsockopt (fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
  setsockopt (fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  if (connect (fd, (struct sockaddr *) &address, sizeof address) == 0)
    return fd;
  fail ("the host daemon is not there to give the golden RAM", strerror (errno));
  close (fd);
  return -1;
}

/* The descriptor that came with the packet; -1 when none did. */
static int
descriptor_of (struct msghdr *message)
{
  struct cmsghdr *part = CMSG_FIRSTHDR (message);
  int fd = -1;
  if (part != NULL && part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS && part->cmsg_len == CMSG_LEN (sizeof fd))
    memcpy (&fd, CMSG_DATA (part), sizeof fd);
  return fd;
}

static int
receive (int connection)
{
  char text[USHER_HANDOVER_MAX + 1] = { 0 };
  union {
    struct cmsghdr head;
    char space[CMSG_SPACE (sizeof (int))];
  } control;
  struct iovec part = { text, USHER_HANDOVER_MAX };
  struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
  ssize_t length = recvmsg (connection, &message, MSG_CMSG_CLOEXEC);
  if (length < 0)
    return fail ("no answer from the host daemon", strerror (errno));
  int fd = descriptor_of (&message);
  if (fd >= 0 && strcmp (text, USHER_HANDOVER_OK) == 0)
    return fd;
  if (fd >= 0)
    close (fd);
  return fail ("the host daemon gives no golden RAM", length == 0 ? "it closed the connection" : text);
}

static int
ask (int connection, const char *uuid, const char *ticket)
{
  char text[USHER_HANDOVER_MAX];
  int length = snprintf (text, sizeof text, "%s %s", uuid, ticket);
  if (length < 0 || (size_t) length >= sizeof text)
    return fail ("its arguments", "UUID or ticket too long");
  if (send (connection, text, (size_t) length, MSG_NOSIGNAL) != length)
    return fail ("asking the host daemon", strerror (errno));
  return receive (connection);
}

/* Brings the golden RAM to its number. */
static int
fetch_ram (char *const *argv)
{
  const char *socket_path = getenv (USHER_HANDOVER_SOCKET_ENV), *ticket = getenv (USHER_HANDOVER_TICKET_ENV);
  const char *uuid = usher_emulator_uuid (argv);
  if (socket_path == NULL || ticket == NULL || uuid == NULL)
    return fail ("its arguments", "no socket, ticket or UUID to ask for golden RAM with");
  int connection = connect_to (socket_path);
  if (connection < 0)
    return -1;
  int fd = ask (connection, uuid, ticket);
  close (connection);
  if (fd < 0)
    return -1;
  if (dup2 (fd, USHER_HANDOVER_FD) < 0)
    return fail ("dup2", strerror (errno));
  close (fd);
  return 0;
}

int
main (int argc, char **argv)
{
  if (argc > 0 && usher_emulator_wants_ram (argv) && fetch_ram (argv) < 0)
    return 1;
  unsetenv (USHER_HANDOVER_TICKET_ENV);
  execv (USHER_QEMU, argv);
  fail (USHER_QEMU, strerror (errno));
  return 127;
}
