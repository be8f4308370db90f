/* qemu-img on a stranger's image: in a confined child (common/image/confine.h), with a time limit. Blocks. */
#pragma once
#include <gio/gio.h>
#include "common/image/confine.h"
#include "common/image/head.h"

/* The image's name in a command line: the descriptor that is handed on, and never a name that could mean something else to QEMU. */
#define USHER_IMAGE_TOOL_FILE "file:/proc/self/fd/3"

/* Percent done, of a command with -p. */
typedef void (*UsherImageStep) (double percent, gpointer user_data);

/* Runs `words` ("qemu-img", "check", …, NULL) with `fd` open for it under USHER_IMAGE_TOOL_FILE. *out_text (may be NULL) is its standard
 * output, at most 1 MiB. INVALID: qemu-img says no, in its own words. TOO_LARGE: over a limit. UNAVAILABLE: it could not be run or
 * confined. G_IO_ERROR_CANCELLED: `cancellable` (may be NULL) was cancelled. The child never outlives the call. */
gboolean usher_image_tool_run (const char *const *words, int fd, const UsherConfineLimits *limits, GCancellable *cancellable,
                               UsherImageStep step, gpointer user_data, char **out_text, GError **error);

/* What `qemu-img info` says of an image whose head was accepted: its virtual size; REFUSED when it refers to anything outside
 * itself or is encrypted. */
gboolean usher_image_tool_info (int fd, UsherImageFormat format, GCancellable *cancellable, guint64 *out_virtual_size, GError **error);

/* Whether a qcow2's own tables are in order (`qemu-img check`): INVALID when they are not, or the file ends early. */
gboolean usher_image_tool_check (int fd, GCancellable *cancellable, GError **error);
