/* The broker's folder of template versions, and what may come into it.
 *
 *     DIR/NAME/VERSION/            a version: manifest.json and its files, read only; comes by one rename
 *     DIR/.uploads/ID/FILE         what has come of an upload so far; the file's length is what was received
 *     DIR/.uploads/ID.lock         who holds it (flock) works on that upload; a dead broker holds nothing
 *     DIR/.trash/                  on its way out
 *
 * All brokers of a deployment share the folder. Everything of broker/images/ but service.h blocks: for worker threads. */
#pragma once
#include <gio/gio.h>
#include "common/settings.h"

typedef struct {
  char *dir;
  gint64 upload_max;  /* bytes of all files of a version */
  gint64 disk_max;    /* bytes a guest may see of its disk */
  gint64 reserve;     /* bytes that stay free */
  gint64 idle_s;      /* an upload nobody went on with for so long is removed */
  guint uploads;      /* under way at a time */
  GCancellable *ending; /* cancelled when the broker ends: what takes long gives up. May be NULL */
} UsherImages;

UsherImages *usher_images_new (const UsherSettings *settings);
void usher_images_free (UsherImages *images);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherImages, usher_images_free)
