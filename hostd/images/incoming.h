/* The disk's side of fetching: a version grows in STORE/.incoming/NAME-VERSION/ and appears as STORE/NAME/VERSION/ in one
 * rename, whole and marked as fetched. What goes is renamed back into .incoming/ first, so that at no instant a part of a
 * version is where desktops are made from. All calls block; for worker threads.
 *
 *     STORE/.incoming/NAME-VERSION/        comes
 *     STORE/.incoming/NAME-VERSION.gone/   goes
 *     STORE/NAME/VERSION/.fetched          the mark; its time of change is when the version was last wanted */
#pragma once
#include <glib.h>
#include "hostd/images/wanted.h"

#define USHER_IMAGE_MARK ".fetched"

/* STORE/NAME/VERSION and STORE/.incoming/NAME-VERSION; owned by the caller. */
char *usher_incoming_dup_place (const char *store, const char *name, gint64 version);
char *usher_incoming_dup_path (const char *store, const char *name, gint64 version);

/* Makes the directory in which `version` grows, and removes from it what is none of its files. */
gboolean usher_incoming_open (const char *store, const UsherWantedVersion *version, GError **error);

/* Bytes that are there of `version`. */
gint64 usher_incoming_received (const char *store, const UsherWantedVersion *version);

/* Whether STORE/NAME/VERSION is free, or was fetched (and is broken, else nobody would ask): CONFLICT when it is
 * somebody's who put it there by hand. */
gboolean usher_incoming_check_place (const char *store, const char *name, gint64 version, GError **error);

/* Puts the whole version in its place. Everything is on the disk when this returns. */
gboolean usher_incoming_publish (const char *store, const UsherWantedVersion *version, GError **error);

/* Takes STORE/NAME/VERSION away; success when it is not there. */
gboolean usher_incoming_take_away (const char *store, const char *name, gint64 version, GError **error);

/* Removes a directory and all in it; success when there is none. */
gboolean usher_incoming_discard (const char *path, GError **error);

/* Sets *error from errno: EXHAUSTED for a full disk, else INTERNAL. Returns FALSE. */
gboolean usher_incoming_failed (GError **error, const char *path);
