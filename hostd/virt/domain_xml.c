#include "hostd/virt/domain_xml.h"

#include <string.h>

#include "common/error.h"
#include "hostd/clone/handover.h"

/* For what a fork starts with (disk, USB, serial ports, random numbers) and what is plugged in later, some to spare. */
#define HOT_PORTS 8

static void add (GString *xml, const char *format, ...) G_GNUC_PRINTF (2, 3);

/* Appends; every %s is escaped for text and for attributes in either quote. */
static void
add (GString *xml, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  g_autofree char *text = g_markup_vprintf_escaped (format, arguments);
  va_end (arguments);
  g_string_append (xml, text);
}

void
usher_domain_mac (const char *id, char out[18])
{
  guint8 digest[32];
  gsize length = sizeof digest;
  g_autoptr (GChecksum) sum = g_checksum_new (G_CHECKSUM_SHA256);
  g_checksum_update (sum, (const guchar *) id, -1);
  g_checksum_get_digest (sum, digest, &length);
  g_snprintf (out, 18, "52:54:%02x:%02x:%02x:%02x", digest[0], digest[1], digest[2], digest[3]);
}

/* libvirt's time format; UTC. */
static char *
format_time (gint64 unix_s)
{
  g_autoptr (GDateTime) time = g_date_time_new_from_unix_utc (unix_s);
  return time != NULL ? g_date_time_format (time, "%Y-%m-%dT%H:%M:%S") : g_strdup ("1970-01-01T00:00:01");
}

static void
add_graphics (GString *xml, const char *secret, gint64 valid_until)
{
  g_autofree char *until = format_time (valid_until);
  add (xml, "<graphics type='spice' autoport='yes' listen='127.0.0.1' passwd='%s' passwdValidTo='%s' connected='keep'>"
       "<listen type='address' address='127.0.0.1'/><image compression='auto_glz'/>"
       "<clipboard copypaste='yes'/><filetransfer enable='yes'/></graphics>", secret, until);
}

char *
usher_domain_xml_graphics (const char *secret, gint64 valid_until)
{
  GString *xml = g_string_sized_new (1024); /* grown, it would leave copies of the secret behind */
  add_graphics (xml, secret, valid_until);
  return g_string_free (xml, FALSE);
}

/* The attributes of a run; see usher_domain_xml_run(). */
static void
add_run_attributes (GString *xml, const UsherDomainRun *run)
{
  add (xml, " start='%" G_GINT64_FORMAT "' started_at='%" G_GINT64_FORMAT "' ready='%d' console='%" G_GINT64_FORMAT "' forking='%d'",
       run->start, run->started_at, run->ready, run->console_revision, run->forking);
}

/* A parent is nobody's desktop: it has a mark of its own. */
static void
add_metadata (GString *xml, const UsherDomainSpec *spec)
{
  gboolean parent = spec->hot != NULL && spec->hot->parent;
  add (xml, "<metadata><usher:%s xmlns:usher='%s' deployment='%s'/>", parent ? "parent" : "desktop",
       parent ? USHER_XML_PARENT_URI : USHER_XML_DESKTOP_URI, spec->deployment);
  if (spec->run != NULL)
    {
      add (xml, "<" USHER_XML_RUN_PREFIX ":run xmlns:" USHER_XML_RUN_PREFIX "='" USHER_XML_RUN_URI "'");
      add_run_attributes (xml, spec->run);
      add (xml, "/>");
    }
  add (xml, "</metadata>");
}

static void
add_head (GString *xml, const UsherDomainSpec *spec)
{
  gboolean parent = spec->hot != NULL && spec->hot->parent;
  add (xml, "<domain type='%s'", spec->domain_type);
  if (spec->hot != NULL)
    add (xml, " xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'");
  add (xml, "><name>usher-%s%s</name><uuid>%s</uuid><title>%s</title>", parent ? "parent-" : "", spec->id, spec->id, spec->name);
  add_metadata (xml, spec);
  add (xml, "<memory unit='MiB'>%" G_GINT64_FORMAT "</memory><vcpu>%" G_GINT64_FORMAT "</vcpu>", spec->ram_mib, spec->vcpus);
}

/* Elastic memory that the guest took is used at once, and can be given back. Most templates say so themselves. */
static const char *
elastic_argument (const UsherDomainSpec *spec)
{
  gboolean told = strstr (spec->cmdline, "memhp_default_state=") != NULL;
  return spec->hot != NULL && !told ? " memhp_default_state=online_movable" : "";
}

static void
add_boot (GString *xml, const UsherDomainSpec *spec)
{
  add (xml, spec->uefi ? "<os firmware='efi'>" : "<os>");
  add (xml, "<type arch='x86_64' machine='%s'>hvm</type>", spec->machine);
  if (spec->uefi) /* the plain one: with secure boot only what somebody signed would start */
    add (xml, "<firmware><feature enabled='no' name='secure-boot'/></firmware>");
  if (spec->kernel != NULL)
    add (xml, "<kernel>%s</kernel><initrd>%s</initrd><cmdline>%s systemd.hostname=%s%s</cmdline>", spec->kernel, spec->initrd,
         spec->cmdline, spec->name, elastic_argument (spec));
  else
    add (xml, "<boot dev='hd'/>");
  add (xml, "</os><features><acpi/><apic/></features>");
  /* Under emulation there is no host model worth having: give the guest all that QEMU can do. */
  add (xml, "<cpu mode='%s'/>", g_str_equal (spec->domain_type, "kvm") ? "host-passthrough" : "maximum");
  add (xml, "<genid/><clock offset='utc'><timer name='rtc' tickpolicy='catchup'/><timer name='hpet' present='no'/></clock>");
  add (xml, "<on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot><on_crash>destroy</on_crash>");
}

/* What a disk stands on. A base stays as it is: shared, read-only and never handed to QEMU's user. */
static void
add_backing (GString *xml, const char *base, const char *below)
{
  add (xml, "<backingStore type='file'><format type='qcow2'/><source file='%s'><seclabel model='dac' relabel='no'/></source>", base);
  if (below != NULL)
    add_backing (xml, below, NULL);
  else
    add (xml, "<backingStore/>");
  add (xml, "</backingStore>");
}

static void
add_disk (GString *xml, const UsherDomainSpec *spec)
{
  if (spec->disk == NULL)
    return;
  add (xml, "<disk type='file' device='disk'><driver name='qemu' type='qcow2' discard='unmap' detect_zeroes='unmap'/>"
       "<source file='%s'/>", spec->disk);
  if (spec->base != NULL)
    add_backing (xml, spec->base, spec->base_below);
  else
    add (xml, "<backingStore/>");
  add (xml, "<target dev='vda' bus='virtio'/></disk>");
}

/* A disk of its own: no backing file is looked for, whatever is written in it. */
static void
add_data_disk (GString *xml, const char *data)
{
  add (xml, "<disk type='file' device='disk'><driver name='qemu' type='qcow2' discard='unmap' detect_zeroes='unmap'/>"
       "<source file='%s'/><backingStore/><target dev='vdb' bus='virtio'/><serial>" USHER_XML_DATA_SERIAL "</serial></disk>", data);
}

char *
usher_domain_xml_data_disk (const char *data)
{
  GString *xml = g_string_new (NULL);
  add_data_disk (xml, data);
  return g_string_free (xml, FALSE);
}

static void
add_network (GString *xml, const UsherDomainSpec *spec)
{
  char mac[18];
  if (spec->network == NULL)
    return; /* never QEMU's user networking: through it a guest reaches the host's loopback */
  usher_domain_mac (spec->id, mac);
  add (xml, "<interface type='network'><mac address='%s'/><source network='%s'/><model type='virtio'/>"
       "<port isolated='yes'/></interface>", mac, spec->network); /* desktops do not reach each other */
}

char *
usher_domain_xml_network (const UsherDomainSpec *spec)
{
  GString *xml = g_string_new (NULL);
  add_network (xml, spec);
  return g_string_free (xml, FALSE);
}

/* The program in QEMU's place, and every port there will ever be: parent and forks must agree on the whole bus. */
static void
add_hot_devices (GString *xml, const UsherDomainHot *hot)
{
  add (xml, "<emulator>%s</emulator><controller type='pci' index='0' model='pcie-root'/>", hot->emulator);
  for (guint i = 1; i <= HOT_PORTS; i++)
    add (xml, "<controller type='pci' index='%u' model='pcie-root-port'/>", i);
}

/* What libvirt has no words for. `-machine memory-backend` takes the place of the RAM that libvirt gives; its
 * virtio-mem would need NUMA cells, which do not go together with that. */
static void
add_hot_arguments (GString *xml, const UsherDomainSpec *spec)
{
  const UsherDomainHot *hot = spec->hot;
  add (xml, "<qemu:commandline><qemu:arg value='-object'/>"
       "<qemu:arg value='memory-backend-file,id=hot,size=%" G_GINT64_FORMAT "M,mem-path=" USHER_HANDOVER_MEM_PATH ",share=%s,"
       "x-use-canonical-path-for-ramblock-id=off'/>"
       "<qemu:arg value='-machine'/><qemu:arg value='memory-backend=hot'/>", spec->ram_mib, hot->parent ? "on" : "off");
  if (hot->elastic_mib > 0)
    add (xml, "<qemu:arg value='-m'/><qemu:arg value='maxmem=%" G_GINT64_FORMAT "M,slots=2'/><qemu:arg value='-object'/>"
         "<qemu:arg value='memory-backend-ram,id=elastic,size=%" G_GINT64_FORMAT "M,reserve=off,"
         "x-use-canonical-path-for-ramblock-id=off'/><qemu:arg value='-device'/>"
         "<qemu:arg value='virtio-mem-pci,id=vmem0,memdev=elastic,requested-size=0,block-size=2M,bus=pcie.0,addr=0x10'/>",
         spec->ram_mib + hot->elastic_mib + 1024, hot->elastic_mib);
  if (!hot->parent)
    add (xml, "<qemu:arg value='-incoming'/><qemu:arg value='defer'/>");
  add (xml, "<qemu:env name='" USHER_HANDOVER_SOCKET_ENV "' value='%s'/><qemu:env name='" USHER_HANDOVER_TICKET_ENV "' value='%s'/>"
       "</qemu:commandline>", hot->socket, hot->ticket);
  /* Without it libvirt reads the processor's features by words instead of asking for each of nearly 400: half of a
   * fork's start. */
  add (xml, "<qemu:capabilities><qemu:del capability='cpu-unavailable-features'/></qemu:capabilities>");
}

static void
add_devices (GString *xml, const UsherDomainSpec *spec)
{
  add (xml, "<devices>");
  if (spec->hot != NULL)
    add_hot_devices (xml, spec->hot);
  add_disk (xml, spec);
  if (spec->data != NULL && spec->hot == NULL)
    add_data_disk (xml, spec->data);
  if (spec->hot == NULL)
    add_network (xml, spec);
  add (xml, "<controller type='usb' model='qemu-xhci'/>"
       "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
       "<channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0'/></channel>"
       "<redirdev bus='usb' type='spicevmc'/><redirdev bus='usb' type='spicevmc'/>"
       "<input type='tablet' bus='usb'/><sound model='ich9'/><audio id='1' type='spice'/>"
       "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>");
  add (xml, spec->hot != NULL ? "<memballoon model='none'/>"
                             : "<memballoon model='virtio' freePageReporting='on'><stats period='5'/></memballoon>");
  add (xml, "<serial type='file'><source path='%s' append='on'/><target port='0'/></serial>", spec->serial_log);
  add (xml, "<video><model type='%s'/></video>", spec->video);
  add_graphics (xml, spec->first_secret, 1);
  add (xml, "</devices>");
}

char *
usher_domain_xml (const UsherDomainSpec *spec)
{
  GString *xml = g_string_sized_new (8192);
  add_head (xml, spec);
  if (g_str_equal (spec->domain_type, "test")) /* libvirt's test driver has no machines and no devices */
    add (xml, "<os><type>hvm</type></os>");
  else
    {
      add_boot (xml, spec);
      add_devices (xml, spec);
      if (spec->hot != NULL)
        add_hot_arguments (xml, spec);
    }
  add (xml, "</domain>");
  return g_string_free (xml, FALSE);
}

char *
usher_domain_xml_run (const UsherDomainRun *run)
{
  GString *xml = g_string_new ("<run");
  add_run_attributes (xml, run);
  add (xml, "/>");
  return g_string_free (xml, FALSE);
}

/* ---- migrating ---- */

/* What of a fork's XML holds on this host only, and what takes its place. Written by add_hot_arguments(), spaced by
 * libvirt. */
static const struct {
  const char *pattern, *instead;
} rewrites[] = {
  { "<emulator>[^<]*/usher-emulator</emulator>\\s*", "" },
  { "memory-backend-file,id=hot,size=([0-9]+)M,mem-path=" USHER_HANDOVER_MEM_PATH ",share=off,", "memory-backend-ram,id=hot,size=\\1M," },
  { "<qemu:arg value='-incoming'/>\\s*<qemu:arg value='defer'/>\\s*", "" },
  { "<qemu:env name='(" USHER_HANDOVER_SOCKET_ENV "|" USHER_HANDOVER_TICKET_ENV ")'[^>]*/>\\s*", "" },
};

char *
usher_domain_xml_migrated (const char *xml)
{
  char *text = g_strdup (xml);
  for (gsize i = 0; i < G_N_ELEMENTS (rewrites); i++)
    {
      g_autoptr (GRegex) regex = g_regex_new (rewrites[i].pattern, 0, 0, NULL);
      char *next = g_regex_replace (regex, text, -1, 0, rewrites[i].instead, 0, NULL);
      explicit_bzero (text, strlen (text));
      g_free (text);
      text = next;
    }
  return text;
}

/* ---- reading ---- */

typedef struct {
  const char *deployment;
  UsherDomainReading reading;
} Reader;

static const char *
attribute (const char *const *names, const char *const *values, const char *name)
{
  for (gsize i = 0; names[i] != NULL; i++)
    if (g_str_equal (names[i], name))
      return values[i];
  return "";
}

static gint64
number (const char *const *names, const char *const *values, const char *name)
{
  return g_ascii_strtoll (attribute (names, values, name), NULL, 10);
}

/* Whether one of the element's own xmlns attributes is `uri`: libvirt writes them on the element itself. */
static gboolean
has_namespace (const char *const *names, const char *const *values, const char *uri)
{
  for (gsize i = 0; names[i] != NULL; i++)
    if (g_str_has_prefix (names[i], "xmlns") && g_str_equal (values[i], uri))
      return TRUE;
  return FALSE;
}

static void
on_element (GMarkupParseContext *context, const char *element, const char **names, const char **values, gpointer user_data,
            GError **error)
{
  Reader *reader = user_data;
  UsherDomainReading *reading = &reader->reading;
  const char *const *keys = names, *const *texts = values;
  if (has_namespace (keys, texts, USHER_XML_DESKTOP_URI))
    reading->ours = g_str_equal (attribute (keys, texts, "deployment"), reader->deployment);
  else if (has_namespace (keys, texts, USHER_XML_RUN_URI))
    reading->run = (UsherDomainRun) { .start = number (keys, texts, "start"),
                                      .started_at = number (keys, texts, "started_at"),
                                      .ready = number (keys, texts, "ready") != 0,
                                      .console_revision = number (keys, texts, "console"),
                                      .forking = number (keys, texts, "forking") != 0 };
  else if (g_str_equal (element, "graphics") && g_str_equal (attribute (keys, texts, "type"), "spice"))
    reading->spice_port = CLAMP (number (keys, texts, "port"), 0, 65535);
}

gboolean
usher_domain_xml_read (const char *xml, const char *deployment, UsherDomainReading *out, GError **error)
{
  static const GMarkupParser parser = { .start_element = on_element };
  Reader reader = { .deployment = deployment };
  g_autoptr (GError) problem = NULL;
  g_autoptr (GMarkupParseContext) context = g_markup_parse_context_new (&parser, 0, &reader, NULL);
  if (!g_markup_parse_context_parse (context, xml, (gssize) strlen (xml), &problem)
      || !g_markup_parse_context_end_parse (context, &problem))
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "libvirt's XML of a domain: %s", problem->message);
      return FALSE;
    }
  *out = reader.reading;
  return TRUE;
}
