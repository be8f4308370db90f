/* Inside of broker/images/: the folder's files. All block; errors name the path. EXHAUSTED: the disk is full. */
#pragma once
#include "broker/images/limits.h"

/* Paths; owned by the caller. The values were checked. */
char *usher_folder_upload (const UsherImages *images, const char *id, const char *file);
char *usher_folder_version (const UsherImages *images, const char *template, gint64 version, const char *file);

/* Makes the folder of an upload when it is not there. */
gboolean usher_folder_make_upload (const UsherImages *images, const char *id, GError **error);

/* Holds an upload against others, of this broker or another, until the descriptor is closed: `whole` alone, else together
 * with others that do not hold it whole. -1 with BUSY when it cannot be had now. */
int usher_folder_lock (const UsherImages *images, const char *id, gboolean whole, GError **error);

/* Whether `bytes` more fit beside what is to stay free. EXHAUSTED. */
gboolean usher_folder_has_room (const UsherImages *images, gint64 bytes, GError **error);

/* The highest number that a folder of the template has; 0 none. */
gint64 usher_folder_highest (const UsherImages *images, const char *template);

/* Length of a regular file; 0 when it is not there, -1 when it is something else or cannot be looked at. */
gint64 usher_folder_length (const char *path);

/* All of it, on the disk when it returns. */
gboolean usher_folder_write (const char *path, const char *text, GError **error);
gboolean usher_folder_sync (const char *path, GError **error);

/* A whole folder of files to another name. CONFLICT when something is there. */
gboolean usher_folder_move (const char *from, const char *to, GError **error);

/* Removes a folder and the files in it; TRUE also when it is not there. */
gboolean usher_folder_remove (const char *path, GError **error);

/* The error of a system call that failed with `number`, about `path`. */
gboolean usher_folder_error (const char *path, const char *what, int number, GError **error);
