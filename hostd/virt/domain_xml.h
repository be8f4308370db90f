/* libvirt's domain XML: writing a desktop's domain, reading what we need of a live one. Pure: no libvirt
 * here, so that it is tested by itself. Everything that comes from elsewhere is escaped. */
#pragma once
#include <glib.h>
#include "common/id.h"

/* Our metadata elements. The first marks a domain as ours and lives as long as its definition; the second is
 * set on the live domain only, so it says what holds of this run and vanishes with it. */
#define USHER_XML_DESKTOP_URI "urn:usher:desktop:1"
#define USHER_XML_RUN_URI "urn:usher:run:1"
#define USHER_XML_RUN_PREFIX "usher-run"
/* A parent of instant clones, which is no desktop. */
#define USHER_XML_PARENT_URI "urn:usher:parent:1"

/* By it the guest finds its data disk: /dev/disk/by-id/virtio-usher-data, /sys/block/vdX/serial. */
#define USHER_XML_DATA_SERIAL "usher-data"

/* What holds of one run of a domain: kept as metadata on the live domain. */
typedef struct {
  gint64 start;            /* which start this is, from 1; 0: unknown */
  gint64 started_at;       /* Unix seconds */
  gboolean ready;          /* its readiness rule held once since */
  gint64 console_revision; /* the console secret in force; 0 none */
  gboolean forking;        /* a fork that is not finished: paused without its state, or without an identity. Of no use but
                            * to who is making it: resuming is wrong, destroying is right */
} UsherDomainRun;

/* What makes a domain hot: the parent of instant clones, or a fork of one. Both get no balloon (it would punch holes
 * into what all share), no network card and no data disk (plugged into a fork once it runs), spare ports for these,
 * and virtio-mem. */
typedef struct {
  gboolean parent;      /* its RAM is golden RAM in the making; FALSE: a private view of it, and it waits for its state */
  const char *emulator; /* path of usher-emulator */
  const char *socket;   /* where that asks hostd for the RAM */
  const char *ticket;   /* what it shows there; good once */
  gint64 elastic_mib;   /* how much virtio-mem can add */
} UsherDomainHot;

/* What a domain is made from. Borrowed strings; paths absolute. */
typedef struct {
  const char *id;          /* desktop id; the domain's UUID */
  const char *name;        /* the guest's host name */
  const char *deployment;
  const char *domain_type; /* kvm | qemu | test */
  const char *machine;     /* e.g. pc-q35-7.2 */
  const char *video;       /* qxl | virtio | vga */
  gboolean uefi;           /* else the BIOS; libvirt chooses the image, and its variables go with the domain */
  const char *kernel, *initrd, *cmdline; /* kernel NULL: the disk boots */
  const char *disk, *base; /* overlay and its backing file; both NULL: no disk */
  const char *base_below;  /* the backing file of `base`, when that is an overlay itself (a frozen parent's disk); or NULL */
  const char *data;        /* data disk, whose serial number in the guest is USHER_XML_DATA_SERIAL; NULL: none */
  const char *serial_log;
  const char *network;     /* libvirt network; NULL: none, and no network card */
  const char *first_secret; /* nobody learns it, and it has expired already */
  gint64 vcpus, ram_mib;
  const UsherDomainHot *hot; /* NULL: an ordinary (linked) clone */
  const UsherDomainRun *run; /* noted on it from the start; NULL: nothing. For forks, whose XML is that of one run */
} UsherDomainSpec;

/* The whole <domain>; owned by the caller. */
char *usher_domain_xml (const UsherDomainSpec *spec);

/* The <graphics> element alone, as usher_domain_xml() writes it, with another password: for changing it on the
 * live domain. Sessions that are connected stay. `valid_until` in Unix seconds. Owned by the caller: zero it. */
char *usher_domain_xml_graphics (const char *secret, gint64 valid_until);

/* The <disk> element of a data disk alone, as usher_domain_xml() writes it: for plugging it into a live domain.
 * Owned by the caller. */
char *usher_domain_xml_data_disk (const char *data);

/* The <interface> element alone, as usher_domain_xml() writes it; "" when `spec` has no network. Owned by the caller. */
char *usher_domain_xml_network (const UsherDomainSpec *spec);

/* From the XML of a live domain as libvirt gives it (migratable), that of the same domain where it migrates to: a
 * fork's RAM is its own there, and nothing waits for a state of ours. Any other domain's is returned as it is. Owned
 * by the caller: it may hold secrets. */
char *usher_domain_xml_migrated (const char *xml);

char *usher_domain_xml_run (const UsherDomainRun *run);

/* What we read from a domain's XML. */
typedef struct {
  gboolean ours;        /* has our metadata, of `deployment` */
  UsherDomainRun run;   /* zeros when there is none */
  int spice_port;       /* 0: none */
} UsherDomainReading;

/* Reads libvirt's XML; INVALID when it can't be read. */
gboolean usher_domain_xml_read (const char *xml, const char *deployment, UsherDomainReading *out, GError **error);

/* A MAC address that depends on the id alone: 52:54 and 32 bits of its hash. `out` holds 18 bytes. */
void usher_domain_mac (const char *id, char out[18]);
