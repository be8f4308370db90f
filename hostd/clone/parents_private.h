/* What the files of the parents share. Private to hostd/clone. */
#pragma once
#include "common/checksum.h"
#include "hostd/clone/fdstore.h"
#include "hostd/clone/golden.h"
#include "hostd/clone/parents.h"

#define USHER_PARENT_START_S 120 /* how long after an announcement a QEMU may come for its RAM: the first start probes */

/* One that this process knows: begun here, or loaded. */
struct _UsherParent {
  UsherParents *parents;
  UsherParentKey key;
  char *name;              /* of its directory */
  char id[USHER_ID_SIZE];  /* of its domain: follows from deployment and key */
  UsherTemplateFiles *template;
  int ram;
  char *generation;        /* names its disk and its place in the fd store; NULL until it is frozen */
  char *base;              /* its frozen disk; NULL when the template has none, or it is not frozen */
  /* guarded by the lock of the parents */
  gboolean loaded, retiring;
  guint holds;
  /* of is_ready() */
  gint64 cpu_ns, asked_us, answered_us;
};

struct _UsherParents {
  UsherVirt *virt;
  UsherTemplateStore *templates;
  char *deployment, *domain_type, *emulator;
  char *dir, *bases, *desktops; /* STATE/parents, STATE/bases, STATE/desktops */
  gint64 reserve_mib;
  UsherGolden *golden;          /* NULL with the test driver */
  UsherFdStore *store;
  GMutex lock;
  GHashTable *known;            /* name of directory → UsherParent */
};

/* Owned by the caller. */
char *usher_parent_name (const UsherParentKey *key);
char *usher_parents_dup_path (const UsherParents *parents, const char *name, const char *file);
char *usher_parents_dup_base (const UsherParents *parents, const char *generation);

/* A new one with its template opened, not in the table; NULL and MISSING, INVALID, REFUSED. */
UsherParent *usher_parent_new (UsherParents *parents, const UsherParentKey *key, GError **error);
void usher_parent_free (UsherParent *parent);

/* Puts it into the table, in the place of what stood there. */
void usher_parents_keep (UsherParents *parents, UsherParent *parent);

/* One that was begun here and is not frozen; NULL and CONFLICT. */
UsherParent *usher_parents_find_begun (UsherParents *parents, const UsherParentKey *key, GError **error);

/* The domain as which it runs until it is frozen. `hot` and all else is borrowed from parent and `hot`. `disk` and
 * `serial` as given. */
UsherDomainSpec usher_parent_spec (const UsherParent *parent, const UsherDomainHot *hot, const char *disk, const char *serial,
                                   const char *secret);

/* An error of the file system: a full disk is told apart. Returns FALSE. */
gboolean usher_parent_failed (GError **error, const char *path);

/* Flushes a file or directory. */
gboolean usher_parent_flush (const char *path, GError **error);

/* What parent.json holds beside the key. */
typedef struct {
  char *generation;
  char *layout;             /* what virtual machine the state fits, see usher_parent_layout() */
  char *state_sum, *disk_sum, *ram_sum; /* disk_sum NULL when there is no disk */
} UsherParentRecord;

void usher_parent_record_clear (UsherParentRecord *record);
gboolean usher_parent_record_write (const UsherParents *parents, const UsherParent *parent, const UsherParentRecord *record,
                                    GError **error);
/* MISSING when there is none: then the parent is not frozen. INVALID: «broken parent: …». */
gboolean usher_parent_record_read (const UsherParents *parents, const char *name, UsherParentRecord *out, GError **error);

/* A checksum over everything that the saved state must find again: the virtual machine as we write it, and QEMU's
 * version. Owned by the caller; NULL and UNAVAILABLE. */
char *usher_parent_layout (const UsherParent *parent, GError **error);

/* SHA-256 of a whole file. */
gboolean usher_parent_sum_file (const char *path, char out[USHER_CHECKSUM_SIZE], GError **error);
