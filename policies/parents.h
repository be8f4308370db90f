/* Which parents of instant clones a host keeps ready (docs/adr/0070-instant-clones.md). */
#pragma once
#include <glib.h>

/* One part in so many of a host's memory may be kept by parents. */
#define USHER_PARENTS_SHARE 2

/* A version and size that instant clones are wanted of. Borrowed strings. */
typedef struct {
  const char *template_name;
  gint64 template_version, vcpus, ram_mib;
  gint64 wanted;   /* how much it is used: spares its pools want, and their desktops on this host */
  gboolean making; /* a desktop of it is being made on this host just now */
} UsherParentCandidate;

/* Puts those to be kept first, in order of worth (being forked from, then most wanted, then by name, version and size, so that
 * every broker chooses alike), and returns how many of the `n` there are. `memory_mib`: the host's; 0 (never reported): none. */
gsize usher_parents_choose (gint64 memory_mib, UsherParentCandidate *candidates, gsize n);
