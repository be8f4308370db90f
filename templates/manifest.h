/* A golden template version, as its manifest.json says it: what to boot, on which machine, with how much, and
 * when a desktop made from it counts as ready. Pure: JSON in, values out; the caller reads the file and looks
 * whether the files named here are there. templates/README.md has the document by example. */
#pragma once
#include <glib.h>
#include <jansson.h>

#define USHER_TEMPLATE_CMDLINE_MAX 2000 /* bytes; Linux on x86 takes 2048 with what the host adds */

typedef enum {
  USHER_TEMPLATE_VIDEO_QXL,
  USHER_TEMPLATE_VIDEO_VIRTIO,
  USHER_TEMPLATE_VIDEO_VGA,
} UsherTemplateVideo;

/* What makes a started desktop "ready". */
typedef enum {
  USHER_TEMPLATE_READY_AGENT,   /* the QEMU guest agent answers guest-ping */
  USHER_TEMPLATE_READY_RUNNING, /* the domain runs */
} UsherTemplateReady;

/* Read only, once parsed. File names are plain names beside the manifest. */
typedef struct {
  char *name;              /* [a-z0-9-]{1,63}, starts and ends with a letter or digit */
  gint64 version;          /* 1.. */
  char *disk_file;         /* NULL: the template has no disk */
  char *disk_sha256;       /* of the file, 64 lower-case hexadecimal digits; NULL without a disk */
  gint64 disk_virtual_size; /* bytes, a multiple of 512; 0 without a disk */
  char *kernel_file;       /* NULL: the firmware boots the disk */
  char *initrd_file;       /* NULL exactly when kernel_file is */
  char *cmdline;           /* NULL exactly when kernel_file is; one line */
  char *machine;           /* QEMU machine type, pinned, e.g. "pc-q35-7.2" */
  gint64 minimum_vcpus, minimum_ram_mib; /* a pool may not go below */
  gint64 default_vcpus, default_ram_mib; /* at least the minimum */
  UsherTemplateVideo video;
  UsherTemplateReady ready;
  gint64 ready_timeout_s;  /* 1..3600, from the start of the domain */
  char **sealed;           /* names of the seal steps applied, NULL-terminated, may be empty */
} UsherTemplateManifest;

/* Checks a whole manifest. `what` names the document in errors («…/tiny/1/manifest.json»). Returns a new manifest
 * (usher_template_manifest_free()) or NULL with USHER_ERROR_INVALID naming the member by path. Unknown members
 * are errors. Any thread. */
UsherTemplateManifest *usher_template_manifest_parse (const json_t *document, const char *what, GError **error);

/* Whether `text` may name a template: [a-z0-9-]{1,63}, starts and ends with a letter or digit. NULL may not. */
gboolean usher_template_name_is_valid (const char *text);

/* "qxl", "virtio" or "vga": libvirt's <video><model type>; static. */
const char *usher_template_video_name (UsherTemplateVideo video);

/* "agent" or "running"; static. */
const char *usher_template_ready_name (UsherTemplateReady ready);

void usher_template_manifest_free (UsherTemplateManifest *manifest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherTemplateManifest, usher_template_manifest_free)
