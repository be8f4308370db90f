/* What a child gives up before it becomes a program that parses a stranger's file. Two halves: the filter is made before the
 * fork, for between fork and exec a process with threads may not allocate. */
#pragma once
#include <glib.h>

typedef struct {
  guint cpu_s;       /* processor time */
  guint time_s;      /* and by the clock */
  guint64 memory;    /* bytes of address space */
  guint64 file_size; /* bytes of any file it writes */
} UsherConfineLimits;

typedef struct _UsherConfinement UsherConfinement;

/* The system call filter: no sockets, no other programs, no namespaces, mounts, keys, modules, file handles. */
UsherConfinement *usher_confinement_new (const UsherConfineLimits *limits, GError **error);

/* In the child, async-signal-safe: resource limits, no core, no_new_privs, the filter; when root: a network namespace of its own,
 * and account `nobody` that may read files but write none of others. NULL, or the step that failed with errno set. */
const char *usher_confinement_enter (const UsherConfinement *confinement);

void usher_confinement_free (UsherConfinement *confinement);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherConfinement, usher_confinement_free)

/* Whom a root's child becomes; its folder for output must be theirs. */
#define USHER_CONFINE_UID 65534
#define USHER_CONFINE_GID 65534
