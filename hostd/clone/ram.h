/* Golden RAM: a memfd, sealed against writing before a fork maps it, and its copy in a file. Calls block. */
#pragma once
#include <glib.h>
#include "common/checksum.h"

/* A memfd of `ram_mib`, not sealed yet, close-on-exec; -1 and EXHAUSTED. */
int usher_ram_new (const char *name, gint64 ram_mib, GError **error);

/* Seals it: nobody writes to it, punches holes into it or changes its size from then on, whatever descriptor they
 * hold. CONFLICT while some process still has it mapped for writing. */
gboolean usher_ram_seal (int fd, GError **error);

/* Whether it is a sealed memfd of that size. */
gboolean usher_ram_is_golden (int fd, gint64 ram_mib);

/* Copies it to `path`, sparse, flushed, mode 0600; `out` gets the checksum of its contents. EXHAUSTED: «disk full: …». */
gboolean usher_ram_save (int fd, const char *path, char out[USHER_CHECKSUM_SIZE], GError **error);

/* A new sealed memfd with what was saved; -1 and INVALID («broken parent: …») when size or checksum are others. */
int usher_ram_load (const char *name, const char *path, gint64 ram_mib, const char *checksum, GError **error);

/* The checksum that save() and load() use, of a memfd or a file. */
gboolean usher_ram_checksum (int fd, char out[USHER_CHECKSUM_SIZE], GError **error);
