/* What a process that faces strangers gives up once it has opened what it needs. */
#pragma once
#include <glib.h>

/* Sets no_new_privs and a seccomp filter for all threads, those made later too: system calls that
 * neither the loop, nor GLib's sockets and threads, nor OpenSSL need (exec, ptrace, mount, keys, modules,
 * raw sockets …) fail with EPERM. Cannot be undone. UNAVAILABLE when the kernel has no seccomp. */
gboolean usher_sandbox_enter (GError **error);
