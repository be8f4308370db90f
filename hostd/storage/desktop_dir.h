/* What a desktop has on disk: STATE/desktops/ID/ with its disks, its serial log and its record.
 *
 *     desktop.json     the record; written last, so that its presence says the desktop is made. It says so itself when
 *                      the system disk is being made (again): what is there then is of no worth
 *     disk.qcow2       the system disk: an overlay on the template's disk, or on that of the parent it was forked from
 *     data.qcow2       the data disk, if it has one: made once, and gone only with the desktop
 *     serial.log       what the guest's first serial port said
 *
 * All calls block; for worker threads. */
#pragma once
#include <glib.h>
#include "common/id.h"
#include "common/rpc/sync.h"
#include "hostd/storage/template_store.h"

/* What is kept of a desktop beside its disk: what it was made from, and how it has fared. */
typedef struct {
  char *name;              /* host name */
  char *template_name;
  gint64 template_version, vcpus, ram_mib;
  gboolean has_disk;       /* the template has one */
  UsherTemplateReady ready;
  gint64 ready_timeout_s;
  gint64 starts;           /* starts begun */
  gint64 started_at;       /* Unix seconds of the last one; 0 never */
  gint64 restart_revision; /* the last wanted restart carried out */
  char *reason;            /* why it was started last, when that was not the first time */
  gint64 system_revision;  /* the last wanted fresh system carried out */
  gint64 data_gib;         /* size of the data disk; 0: it has none */
  UsherCloneKind clone;    /* how its system came to be */
  char *clone_reason;      /* why linked though instant was wanted; "" otherwise */
  char *user;              /* whose it is, as its guest was told; "" nobody's */
  gboolean making;         /* its system disk is being made, or its fork was never ready: begin anew */
} UsherDesktopRecord;

void usher_desktop_record_free (UsherDesktopRecord *record);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherDesktopRecord, usher_desktop_record_free)

typedef struct {
  gboolean exists;            /* the directory is there */
  gboolean damaged;           /* the record can't be read: then there is no telling what the disk is */
  gboolean disk_lost;         /* the record says there is a system disk, and there is none */
  gboolean data_lost;         /* the same of the data disk */
  UsherDesktopRecord *record; /* NULL: not made, or only half */
} UsherDesktopFiles;

/* Frees what `files` holds. */
void usher_desktop_files_clear (UsherDesktopFiles *files);

typedef struct _UsherDesktopDirs UsherDesktopDirs;

/* `reserve_mib`: free space that clones must leave. */
UsherDesktopDirs *usher_desktop_dirs_new (const char *state_dir, gint64 reserve_mib);
void usher_desktop_dirs_free (UsherDesktopDirs *dirs);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherDesktopDirs, usher_desktop_dirs_free)

/* Ids of all directories: g_strfreev(). Makes STATE/desktops when it is not there. */
char **usher_desktop_dirs_list (UsherDesktopDirs *dirs, GError **error);

/* What is there of desktop `id`. */
gboolean usher_desktop_dirs_look (UsherDesktopDirs *dirs, const char *id, UsherDesktopFiles *out, GError **error);

/* Owned by the caller. */
char *usher_desktop_dirs_dup_path (UsherDesktopDirs *dirs, const char *id, const char *file);

/* Makes the data disk (if `record` has one and it is not there), the overlay on `base` (NULL: no system disk) in the place
 * of one that may be there, and then the record, as given; may be repeated after any interruption. `before` is the record
 * that is there, NULL for none: it is marked first, so that what is half replaced is not taken for a system.
 * INVALID: «broken image: …»; EXHAUSTED: «disk full: …». */
gboolean usher_desktop_dirs_make (UsherDesktopDirs *dirs, const char *id, const char *base, UsherDesktopRecord *before,
                                  const UsherDesktopRecord *record, GError **error);

gboolean usher_desktop_dirs_write_record (UsherDesktopDirs *dirs, const char *id, const UsherDesktopRecord *record, GError **error);

/* Removes the directory and all in it; success when there is none. */
gboolean usher_desktop_dirs_remove (UsherDesktopDirs *dirs, const char *id, GError **error);

/* MiB free under the state directory; -1 when it can't be found out. */
gint64 usher_desktop_dirs_free_mib (UsherDesktopDirs *dirs);
