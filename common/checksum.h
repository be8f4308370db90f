/* SHA-256 of what is too large to have in memory: images on their way, and files (OpenSSL, so with the processor's own
 * instructions). */
#pragma once
#include <glib.h>

#define USHER_CHECKSUM_SIZE 65 /* lower-case hexadecimal and the NUL */

typedef struct _UsherChecksum UsherChecksum;

UsherChecksum *usher_checksum_new (void);
void usher_checksum_add (UsherChecksum *checksum, gconstpointer data, gsize length);

/* Of all that was added; nothing may be added after it. */
void usher_checksum_end (UsherChecksum *checksum, char out[USHER_CHECKSUM_SIZE]);

/* Adds the first `length` bytes of the file behind `fd`, wherever its own position is. `step` (may be NULL) is told of every
 * piece and ends it with FALSE and its error. UNAVAILABLE when it can't be read or is shorter. Blocks. */
typedef gboolean (*UsherChecksumStep) (guint64 done, gpointer user_data, GError **error);
gboolean usher_checksum_add_fd (UsherChecksum *checksum, int fd, guint64 length, UsherChecksumStep step, gpointer user_data,
                                GError **error);

void usher_checksum_free (UsherChecksum *checksum);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherChecksum, usher_checksum_free)
