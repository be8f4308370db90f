/* The parents that instant clones are forked from (docs/adr/0070-instant-clones.md), one for each UsherParentKey.
 *
 *     STATE/parents/NAME-VERSION-VCPUS-RAM/
 *         disk.qcow2     while it is built: the overlay it runs on
 *         serial.log     what it said while it booted
 *         state          devices and processor state; sealed RAM is not in it
 *         ram            a copy of the golden RAM, sparse; read again only when systemd's fd store has none
 *         parent.json    written last: its presence says that the parent is frozen
 *     STATE/bases/UUID.qcow2
 *                        the disk of a frozen parent, root's and read-only: the backing file of its forks' overlays,
 *                        so it outlives the parent, until no overlay stands on it
 *     STATE/golden.sock  where usher-emulator asks for the golden RAM of a start that was announced
 *
 *     none ── begin ──► half ── is_ready … freeze ──► saved+loaded ── retire ──► none
 *                         └── discard ──► none        saved (hostd was restarted) ── load ──► loaded
 *
 * All calls but new, free, list_loaded and hold block (seconds: begin, freeze, load); for worker threads. Of one key
 * only one of begin, is_ready, freeze, load, retire, discard may run at a time; all else runs beside anything. */
#pragma once
#include <glib.h>
#include "common/rpc/sync.h"
#include "hostd/storage/template_store.h"
#include "hostd/virt/virt.h"

typedef struct _UsherParents UsherParents;

/* Borrowed and must outlive it. */
typedef struct {
  UsherVirt *virt;
  UsherTemplateStore *templates;
  const char *state_dir, *deployment, *domain_type;
  const char *emulator; /* path of usher-emulator; NULL: where it is installed */
  gint64 reserve_mib;   /* disk space that a parent must leave free */
} UsherParentsConfig;

/* Makes the directories, listens for usher-emulator on a thread of its own and takes sealed RAM out of systemd's fd
 * store. With domain_type "test" it listens nowhere and holds nothing. Errors: INTERNAL, EXHAUSTED («disk full»). */
UsherParents *usher_parents_new (const UsherParentsConfig *config, GError **error);
/* Frozen parents stay on disk, half-built ones stay running; forks go on. Nothing may be held. */
void usher_parents_free (UsherParents *parents);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherParents, usher_parents_free)

typedef enum {
  USHER_PARENT_NONE,
  USHER_PARENT_HALF,   /* begun. When another process began it (this hostd is a new one): discard() it */
  USHER_PARENT_SAVED,  /* frozen, on disk only: load() it */
  USHER_PARENT_LOADED, /* can be forked now */
} UsherParentStage;

typedef struct {
  UsherParentKey key;
  UsherParentStage stage;
  gboolean begun_here; /* HALF: by this process, so is_ready() and freeze() can go on */
} UsherParentFound;

void usher_parent_found_free (UsherParentFound *found);

/* Everything that is there, of UsherParentFound. */
GPtrArray *usher_parents_list (UsherParents *parents, GError **error);

/* Starts building: overlay, golden RAM, domain. Half of it left by a failure is discarded first. MISSING or INVALID:
 * the template; REFUSED: cannot be forked, the message is usher_clone_check_forkable()'s; EXHAUSTED: disk or memory;
 * UNAVAILABLE: libvirt. After any failure nothing is left. The first on a libvirtd takes some seconds more (probing). */
gboolean usher_parents_begin (UsherParents *parents, const UsherParentKey *key, GError **error);

/* Whether it can be frozen: its guest agent answers and the guest has come to rest. To be asked every second or so,
 * and not before 2 s after begin(); the template's ready.timeout_s is the caller's to watch. CONFLICT: its domain has
 * ended; discard() it. */
gboolean usher_parents_is_ready (UsherParents *parents, const UsherParentKey *key, gboolean *out_ready, GError **error);

/* Freezes it: afterwards it is LOADED and its domain is gone. A failure leaves it HALF: discard() it. */
gboolean usher_parents_freeze (UsherParents *parents, const UsherParentKey *key, GError **error);

/* Loads a SAVED one: from the fd store, or else by sealing a copy of the file after checking its checksum (seconds for
 * each GiB). INVALID: damaged («broken parent: …»): retire() it and begin() anew. */
gboolean usher_parents_load (UsherParents *parents, const UsherParentKey *key, GError **error);

/* Removes what is begun: domain and directory. Success when there is nothing. CONFLICT when it is frozen. */
gboolean usher_parents_discard (UsherParents *parents, const UsherParentKey *key, GError **error);

/* Forgets a frozen one: RAM, state, directory, and its disk when no overlay stands on it. BUSY while held: nothing is
 * done, and from then on hold() refuses it, so that asking again ends. Success when there is none. */
gboolean usher_parents_retire (UsherParents *parents, const UsherParentKey *key, GError **error);

/* Removes disks in STATE/bases on which neither a parent nor an overlay in STATE/desktops stands. To be called at
 * start and when desktops were removed; cheap. An overlay that can't be read keeps all. */
gboolean usher_parents_collect (UsherParents *parents, GError **error);

/* A loaded parent, held while a fork is made: it can't be retired meanwhile. */
typedef struct _UsherParent UsherParent;

/* NULL when it is not loaded, or is being retired. Never blocks. */
UsherParent *usher_parents_hold (UsherParents *parents, const UsherParentKey *key);
void usher_parent_release (UsherParent *parent);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherParent, usher_parent_release)

/* Borrowed while held. The disk is NULL when the template has none; below it is the template's disk. */
const char *usher_parent_get_disk (const UsherParent *parent);
