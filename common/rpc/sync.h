/* The sync: the one call between hostd and broker. hostd says what its host holds, the broker answers
 * what it should hold. `POST /host/v1/sync` on the broker's mutual-TLS port; the host is who its
 * certificate says. With wait_s > 0 the broker answers when the wanted set is newer than `after`, or
 * after wait_s. hostd keeps one such call pending and sends another with wait_s = 0 when what it sees
 * changes. docs/protocols.md has both documents by example. */
#pragma once
#include <glib.h>
#include <jansson.h>
#include "common/id.h"

#define USHER_SYNC_WAIT_MAX_S 25

/* How a desktop comes from its template version (docs/adr/0070-instant-clones.md). */
typedef enum {
  USHER_CLONE_LINKED,  /* overlay, cold boot */
  USHER_CLONE_INSTANT, /* a fork of a running parent */
} UsherCloneKind;

/* "linked" or "instant"; static. */
const char *usher_clone_kind_name (UsherCloneKind kind);
/* FALSE when `name` is neither (or NULL). */
gboolean usher_clone_kind_parse (const char *name, UsherCloneKind *out);

/* What hostd sees of one desktop. */
typedef enum {
  USHER_SEEN_ABSENT,   /* nothing of it is on this host */
  USHER_SEEN_CREATING, /* its disk or domain is being made */
  USHER_SEEN_STARTING, /* its domain runs, its readiness rule does not hold yet */
  USHER_SEEN_READY,    /* its readiness rule held since it was started */
  USHER_SEEN_STOPPED,  /* domain and disk are there, not running */
  USHER_SEEN_FAILED,   /* hostd gave up for now; `reason` says why; it tries again with back-off */
  USHER_SEEN_DELETING,
} UsherSeenState;

/* What the broker wants of one desktop. */
typedef enum { USHER_WANTED_RUNNING, USHER_WANTED_STOPPED, USHER_WANTED_GONE } UsherWantedState;

const char *usher_seen_state_name (UsherSeenState state);
const char *usher_wanted_state_name (UsherWantedState state);

typedef struct {
  char id[USHER_ID_SIZE];
  UsherSeenState state;
  char *reason;             /* "" when there is nothing to say */
  gint64 console_revision;  /* the console secret now in force; 0 none */
  gint64 restart_revision;  /* the last wanted restart carried out */
  gint64 starts;            /* times hostd has started its domain */
  gint64 system_revision;   /* the last wanted fresh system carried out */
  UsherCloneKind clone;     /* how it was made; meaningless while absent */
  char *clone_reason;       /* why linked though instant was wanted; "" otherwise */
} UsherSeenDesktop;

/* A parent that instant clones are forked from: one for each version and size on a host. */
typedef struct {
  char *template_name;
  gint64 template_version, vcpus, ram_mib;
} UsherParentKey;

typedef enum {
  USHER_PARENT_BUILDING, /* booting, or being frozen */
  USHER_PARENT_READY,
  USHER_PARENT_FAILED,   /* hostd tries again with back-off; `reason` says why */
  USHER_PARENT_UNABLE,   /* this version cannot be forked here: its desktops are linked clones; `reason` says why */
} UsherParentState;

const char *usher_parent_state_name (UsherParentState state);

typedef struct {
  UsherParentKey key;
  UsherParentState state;
  char *reason;
} UsherSeenParent;

/* A template version on its way to the host, or that could not come. */
typedef struct {
  char *template_name;
  gint64 template_version;
  gint64 received, size;    /* bytes */
  char *reason;             /* why it does not come; "" while it comes */
} UsherSeenFetch;

typedef struct {
  char *deployment;         /* deployment id learnt at join */
  gint64 after;             /* version of the wanted set last applied; 0 none */
  gint64 wait_s;
  /* the host itself */
  char *name, *version, *domain_type; /* kvm | qemu | test */
  char *door;               /* how a gateway reaches this host's door: unix:/PATH or HOST:PORT */
  gint64 cpus, memory_mib, memory_free_mib, disk_free_mib;
  char **templates;         /* "NAME/VERSION" usable here, NULL-terminated */
  GPtrArray *desktops;      /* of UsherSeenDesktop */
  GPtrArray *parents;       /* of UsherSeenParent */
  GPtrArray *fetches;       /* of UsherSeenFetch */
} UsherSyncRequest;

typedef struct {
  char id[USHER_ID_SIZE];
  char *name;               /* host name inside the guest too: [a-z0-9-]{1,63} */
  UsherWantedState wanted;
  char *template_name;
  gint64 template_version, vcpus, ram_mib;
  gint64 restart_revision;  /* greater than seen: restart it once */
  gint64 console_revision;  /* greater than seen: put console_secret in force */
  char *console_secret;     /* NULL: none wanted */
  gint64 console_valid_until; /* Unix seconds */
  UsherCloneKind clone;
  gint64 system_revision;   /* greater than seen: a fresh system disk, the data disk kept */
  gint64 data_gib;          /* size of its data disk; 0 none */
  char *user;               /* whose it is; "" nobody's */
} UsherWantedDesktop;

/* One file of a template version, manifest.json among them. */
typedef struct {
  char *name;
  gint64 size;              /* bytes */
  char *sha256;             /* 64 lower-case hexadecimal digits */
} UsherImageFile;

/* A template version that the host should have: on storage it shares with the broker, or fetched from it. */
typedef struct {
  char *template_name;
  gint64 template_version;
  GPtrArray *files;         /* of UsherImageFile */
} UsherWantedVersion;

typedef struct {
  char *deployment;
  char *host;               /* this host's id */
  gint64 version;
  gboolean draining;
  GPtrArray *desktops;      /* of UsherWantedDesktop: all that this host should hold, and those to be gone */
  GPtrArray *versions;      /* of UsherWantedVersion; others may be evicted when nothing here stands on them */
  GPtrArray *parents;       /* of UsherParentKey: to be kept ready; others go when no desktop is being forked from them */
} UsherSyncAnswer;

json_t *usher_sync_request_to_json (const UsherSyncRequest *request);
UsherSyncRequest *usher_sync_request_from_json (const json_t *json, GError **error);
json_t *usher_sync_answer_to_json (const UsherSyncAnswer *answer);
UsherSyncAnswer *usher_sync_answer_from_json (const json_t *json, GError **error);

/* The members of a report alone: of UsherSeenParent, of UsherSeenFetch. */
json_t *usher_sync_parents_to_json (const GPtrArray *parents);
json_t *usher_sync_fetches_to_json (const GPtrArray *fetches);

/* Empty, with their arrays made; free with the matching function. */
UsherSyncRequest *usher_sync_request_new (void);
UsherSyncAnswer *usher_sync_answer_new (void);
void usher_sync_request_free (UsherSyncRequest *request);
void usher_sync_answer_free (UsherSyncAnswer *answer);
/* Element free functions of the arrays above. */
void usher_seen_desktop_free (UsherSeenDesktop *desktop);
void usher_wanted_desktop_free (UsherWantedDesktop *desktop);
void usher_parent_key_free (UsherParentKey *key);
void usher_seen_parent_free (UsherSeenParent *parent);
void usher_seen_fetch_free (UsherSeenFetch *fetch);
void usher_wanted_version_free (UsherWantedVersion *version);
void usher_image_file_free (UsherImageFile *file);
/* A new array for UsherWantedVersion.files. */
UsherWantedVersion *usher_wanted_version_new (const char *template_name, gint64 template_version);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherSyncRequest, usher_sync_request_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherSyncAnswer, usher_sync_answer_free)
