/* A golden template version, as its manifest.json says it: what to boot, on which machine, with how much, and
 * when a desktop made from it counts as ready. Pure: JSON in, values out; the caller reads the file and looks
 * whether the files named here are there. templates/README.md has the document by example. */
#pragma once
#include <glib.h>
#include <jansson.h>

#define USHER_TEMPLATE_NOTE_MAX 2000    /* characters */
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

typedef enum {
  USHER_TEMPLATE_FIRMWARE_BIOS,
  USHER_TEMPLATE_FIRMWARE_UEFI,
} UsherTemplateFirmware;

/* What runs in it: how identity is given, which agent is there. */
typedef enum {
  USHER_TEMPLATE_GUEST_LINUX,
  USHER_TEMPLATE_GUEST_WINDOWS,
  USHER_TEMPLATE_GUEST_OTHER,
} UsherTemplateGuest;

/* One file of a version, as its manifest announces it. */
typedef struct {
  char *name;
  gint64 size;  /* bytes, at least 1 */
  char *sha256; /* 64 lower-case hexadecimal digits */
} UsherTemplateFile;

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
  UsherTemplateFirmware firmware; /* bios unless said */
  UsherTemplateGuest guest;
  char *machine;           /* QEMU machine type, pinned, e.g. "pc-q35-7.2" */
  gint64 minimum_vcpus, minimum_ram_mib; /* a pool may not go below */
  gint64 default_vcpus, default_ram_mib; /* at least the minimum */
  UsherTemplateVideo video;
  UsherTemplateReady ready;
  gint64 ready_timeout_s;  /* 1..3600, from the start of the domain */
  char **sealed;           /* names of the seal steps applied, NULL-terminated, may be empty */
  gint64 parent;           /* the version it was made from, lower than `version`; 0 none is told */
  char *note;              /* what changed, for people; "" when nothing is told */
  GPtrArray *files;        /* of UsherTemplateFile: empty when not told, else each file named above, once, and no other */
} UsherTemplateManifest;

/* Checks a whole manifest. `what` names the document in errors («…/tiny/1/manifest.json»). Returns a new manifest
 * (usher_template_manifest_free()) or NULL with USHER_ERROR_INVALID naming the member by path. Unknown members
 * are errors. Any thread. */
UsherTemplateManifest *usher_template_manifest_parse (const json_t *document, const char *what, GError **error);

/* Whether `text` may name a file of a version: letters, digits, '.', '_', '-', no '.' or '-' first, at most 100; not
 * manifest.json. NULL may not. */
gboolean usher_template_file_is_valid (const char *text);

/* Whether `text` may name a template: [a-z0-9-]{1,63}, starts and ends with a letter or digit. NULL may not. */
gboolean usher_template_name_is_valid (const char *text);

/* "qxl", "virtio" or "vga": libvirt's <video><model type>; static. */
const char *usher_template_video_name (UsherTemplateVideo video);

/* "bios" or "uefi"; static. */
const char *usher_template_firmware_name (UsherTemplateFirmware firmware);

/* "linux", "windows" or "other"; static. */
const char *usher_template_guest_name (UsherTemplateGuest guest);

/* "agent" or "running"; static. */
const char *usher_template_ready_name (UsherTemplateReady ready);

void usher_template_manifest_free (UsherTemplateManifest *manifest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherTemplateManifest, usher_template_manifest_free)
