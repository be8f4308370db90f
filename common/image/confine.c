#include "common/image/confine.h"
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "common/error.h"

/* Larger than any seccomp program of ours, smaller than the kernel's limit. */
#define FILTER_MAX 4096
#define FILES_MAX 64

struct _UsherConfinement {
  UsherConfineLimits limits;
  struct sock_filter filter[FILTER_MAX];
  struct sock_fprog program;
};

/* What an image tool never needs, and a captured one would like to have. */
static const char *const denied[] = {
  /* the world outside */
  "socket", "socketpair", "connect", "bind", "listen", "accept", "accept4", "sendto", "sendmsg", "sendmmsg",
  /* other processes */
  "execveat", "fork", "vfork", "ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_open", "pidfd_getfd", "kill", "tkill",
  /* the system */
  "mount", "umount2", "pivot_root", "chroot", "unshare", "setns", "fsopen", "fsmount", "open_tree", "move_mount", "mount_setattr", "bpf",
  "perf_event_open", "keyctl", "add_key", "request_key", "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load",
  "reboot", "swapon", "swapoff", "acct", "quotactl", "settimeofday", "clock_settime", "adjtimex", "clock_adjtime", "sethostname",
  "setdomainname", "syslog", "iopl", "ioperm", "userfaultfd", "personality", "nfsservctl", "vhangup", "lookup_dcookie",
  /* other people's files */
  "open_by_handle_at", "name_to_handle_at", "mknod", "mknodat", "chmod", "fchmodat", "chown", "lchown", "fchownat", "setxattr",
  "lsetxattr", "link", "linkat", "symlink", "symlinkat", "rename", "renameat", "renameat2", "rmdir", "mkdir", "mkdirat", "truncate", "fanotify_init",
  /* who it is */
  "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setgroups", "setfsuid", "setfsgid", "capset",
};

static int
add_rules (scmp_filter_ctx filter)
{
  int r = 0;

  for (gsize i = 0; i < G_N_ELEMENTS (denied) && r == 0; i++) {
    int number = seccomp_syscall_resolve_name (denied[i]);
    if (number != __NR_SCMP_ERROR)
      r = seccomp_rule_add (filter, SCMP_ACT_ERRNO (EPERM), number, 0);
  }
  /* Threads, not processes. clone3 hides its flags and io_uring its calls: programs do without when they are not there. */
  if (r == 0)
    r = seccomp_rule_add (filter, SCMP_ACT_ERRNO (EPERM), SCMP_SYS (clone), 1, SCMP_A0 (SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
  if (r == 0)
    r = seccomp_rule_add (filter, SCMP_ACT_ERRNO (ENOSYS), SCMP_SYS (clone3), 0);
  if (r == 0)
    r = seccomp_rule_add (filter, SCMP_ACT_ERRNO (ENOSYS), SCMP_SYS (io_uring_setup), 0);
  return r;
}

/* The filter as the kernel takes it, so that the child need only hand it over. */
static int
export_filter (UsherConfinement *confinement, scmp_filter_ctx filter)
{
  int fd = memfd_create ("filter", MFD_CLOEXEC), r = fd >= 0 ? seccomp_export_bpf (filter, fd) : -errno;
  gssize length = 0;

  if (r == 0) {
    length = pread (fd, confinement->filter, sizeof confinement->filter, 0);
    r = length < 0 ? -errno : length == (gssize) sizeof confinement->filter ? -E2BIG : 0;
  }
  if (fd >= 0)
    close (fd);
  confinement->program.filter = confinement->filter;
  confinement->program.len = r == 0 ? (unsigned short) ((gsize) length / sizeof *confinement->filter) : 0;
  return r;
}

UsherConfinement *
usher_confinement_new (const UsherConfineLimits *limits, GError **error)
{
  g_autoptr (UsherConfinement) confinement = g_new0 (UsherConfinement, 1);
  scmp_filter_ctx filter = seccomp_init (SCMP_ACT_ALLOW);
  int r = filter != NULL ? add_rules (filter) : -ENOMEM;

  confinement->limits = *limits;
  if (r == 0)
    r = export_filter (confinement, filter);
  if (filter != NULL)
    seccomp_release (filter);
  if (r == 0)
    return g_steal_pointer (&confinement);
  g_set_error (error, USHER_ERROR, USHER_ERROR_INTERNAL, "system call filter: %s", g_strerror (-r));
  return NULL;
}

static gboolean
limit (int resource, guint64 value)
{
  const struct rlimit both = { .rlim_cur = value, .rlim_max = value };
  struct rlimit now;

  /* Not above what we were given ourselves. */
  if (getrlimit (resource, &now) == 0 && now.rlim_max < value)
    return TRUE;
  return setrlimit (resource, &both) == 0;
}

/* Reading what it was given by path must go on working (a file of root's that nobody else may read); writing must not. */
static gboolean
become_nobody (void)
{
  const guint32 mask = 1u << CAP_DAC_READ_SEARCH;
  struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
  struct __user_cap_data_struct data[2] = { { .effective = mask, .permitted = mask, .inheritable = mask } };

  return prctl (PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0 && setgroups (0, NULL) == 0 &&
         syscall (SYS_setresgid, USHER_CONFINE_GID, USHER_CONFINE_GID, USHER_CONFINE_GID) == 0 &&
         syscall (SYS_setresuid, USHER_CONFINE_UID, USHER_CONFINE_UID, USHER_CONFINE_UID) == 0 &&
         syscall (SYS_capset, &header, data) == 0 && prctl (PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_READ_SEARCH, 0, 0) == 0;
}

const char *
usher_confinement_enter (const UsherConfinement *confinement)
{
  const UsherConfineLimits *l = &confinement->limits;

  umask (077);
  if (!limit (RLIMIT_CPU, l->cpu_s) || !limit (RLIMIT_AS, l->memory) || !limit (RLIMIT_FSIZE, l->file_size) ||
      !limit (RLIMIT_NOFILE, FILES_MAX) || !limit (RLIMIT_CORE, 0))
    return "resource limits";
  if (geteuid () == 0) {
    /* A container's root may not; the filter forbids sockets anyway. */
    if (unshare (CLONE_NEWNET) != 0 && errno != EPERM)
      return "network namespace";
    if (!become_nobody ())
      return "account nobody";
  }
  if (prctl (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return "no_new_privs";
  if (prctl (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &confinement->program, 0, 0) != 0)
    return "system call filter";
  return NULL;
}

void
usher_confinement_free (UsherConfinement *confinement)
{
  g_free (confinement);
}
