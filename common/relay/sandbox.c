#include "common/relay/sandbox.h"
#include <errno.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include "common/error.h"

/* A list of what is allowed, by purpose. What glibc asks for and can live without gets EPERM or ENOSYS. */
static const char *const allowed[] = {
  /* descriptors and files */
  "read", "readv", "write", "writev", "close", "fcntl", "fstat", "stat", "lstat", "newfstatat", "statx", "lseek", "pread64",
  "access", "faccessat", "faccessat2", "readlink", "readlinkat", "getcwd", "dup", "dup2", "dup3", "pipe2", "unlink",
  "ioctl", "open", "openat", "getdents64", "fstatfs", "statfs",
  /* sockets and waiting */
  "accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "listen", "recvfrom", "recvmsg",
  "recvmmsg", "sendto", "sendmsg", "sendmmsg", "setsockopt", "shutdown", "socketpair", "epoll_create1", "epoll_ctl",
  "epoll_wait", "epoll_pwait", "eventfd2", "poll", "ppoll", "select", "pselect6", "timerfd_create", "timerfd_settime",
  "signalfd4", "inotify_init1", "inotify_add_watch", "inotify_rm_watch",
  /* memory */
  "brk", "mmap", "munmap", "mremap", "mprotect", "madvise", "mlock", "mlock2", "munlock",
  /* threads and time */
  "futex", "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time", "sched_yield",
  "sched_getaffinity", "sched_getattr", "sched_setattr", "set_robust_list", "rseq", "membarrier", "getcpu", "prctl",
  "arch_prctl", "set_tid_address", "gettid", "exit", "exit_group", "restart_syscall",
  /* signals and who am I */
  "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "tgkill", "kill", "getpid", "getppid", "getuid", "geteuid",
  "getgid", "getegid", "getresuid", "getresgid", "getrandom", "uname", "sysinfo", "getrlimit", "prlimit64", "getrusage",
};

/* No address family but these: no packet, no raw, no vsock sockets. Netlink is how GLib and the resolver
 * look at interfaces. */
static const int families[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK };

static int
add_rules (scmp_filter_ctx filter)
{
  int r = 0;
  for (guint i = 0; i < G_N_ELEMENTS (allowed) && r == 0; i++)
    {
      const int number = seccomp_syscall_resolve_name (allowed[i]);
      if (number != __NR_SCMP_ERROR)
        r = seccomp_rule_add (filter, SCMP_ACT_ALLOW, number, 0);
    }
  for (guint i = 0; i < G_N_ELEMENTS (families) && r == 0; i++)
    r = seccomp_rule_add (filter, SCMP_ACT_ALLOW, SCMP_SYS (socket), 1, SCMP_A0 (SCMP_CMP_EQ, (scmp_datum_t) families[i], 0));
  /* Threads, not processes: CLONE_THREAD must be set. clone3 hides its flags, so glibc falls back to clone. */
  if (r == 0)
    r = seccomp_rule_add (filter, SCMP_ACT_ALLOW, SCMP_SYS (clone), 1,
                          SCMP_A0 (SCMP_CMP_MASKED_EQ, 0x00010000, 0x00010000));
  if (r == 0)
    r = seccomp_rule_add (filter, SCMP_ACT_ERRNO (ENOSYS), SCMP_SYS (clone3), 0);
  return r;
}

gboolean
usher_sandbox_enter (GError **error)
{
  scmp_filter_ctx filter = seccomp_init (SCMP_ACT_ERRNO (EPERM));
  int r = filter != NULL ? 0 : -ENOMEM;
  if (r == 0)
    r = prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? 0 : -errno;
  if (r == 0)
    r = seccomp_attr_set (filter, SCMP_FLTATR_CTL_TSYNC, 1);
  if (r == 0)
    r = add_rules (filter);
  if (r == 0)
    r = seccomp_load (filter);
  if (filter != NULL)
    seccomp_release (filter);
  if (r == 0)
    return TRUE;
  g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "seccomp filter: %s", g_strerror (-r));
  return FALSE;
}
