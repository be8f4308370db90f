/* Unit tests of hostd/virt/domain_xml: what is written holds what it should and nothing gets out of its place;
 * what is written is read back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "common/error.h"
#include "hostd/virt/domain_xml.h"

#define ID "0f8fad5b-d9cb-469f-a165-70867728950e"

static UsherDomainSpec
spec (void)
{
  return (UsherDomainSpec) {
    .id = ID, .name = "office-1", .deployment = "dep", .domain_type = "qemu", .machine = "pc-q35-7.2", .video = "qxl",
    .kernel = "/t/vmlinuz", .initrd = "/t/initrd", .cmdline = "root=/dev/vda quiet", .disk = "/d/disk.qcow2", .base = "/t/disk.qcow2",
    .serial_log = "/d/serial.log", .first_secret = "first", .vcpus = 2, .ram_mib = 1024,
  };
}

static char *
write_xml (const UsherDomainSpec *from)
{
  UsherDomainReading reading;
  char *xml = usher_domain_xml (from);
  assert_true (usher_domain_xml_read (xml, "dep", &reading, NULL)); /* well-formed */
  assert_true (reading.ours);
  return xml;
}

static void
has (const char *xml, const char *part)
{
  if (strstr (xml, part) == NULL)
    fail_msg ("no «%s» in %s", part, xml);
}

static void
has_not (const char *xml, const char *part)
{
  if (strstr (xml, part) != NULL)
    fail_msg ("«%s» in %s", part, xml);
}

static void
a_whole_domain (void **state)
{
  UsherDomainSpec from = spec ();
  g_autofree char *xml = write_xml (&from);
  static const char *const parts[] = {
    "<domain type='qemu'>", "<uuid>" ID "</uuid>", "<name>usher-" ID "</name>", "<memory unit='MiB'>1024</memory>", "<vcpu>2</vcpu>",
    "machine='pc-q35-7.2'", "<kernel>/t/vmlinuz</kernel>", "<cmdline>root=/dev/vda quiet systemd.hostname=office-1</cmdline>",
    "<cpu mode='maximum'/>", "<source file='/d/disk.qcow2'/>", "<source file='/t/disk.qcow2'><seclabel model='dac' relabel='no'/>",
    "org.qemu.guest_agent.0", "com.redhat.spice.0", "listen='127.0.0.1'", "passwd='first'",
    "passwdValidTo='1970-01-01T00:00:01'", "<video><model type='qxl'/></video>", "<genid/>", "<source path='/d/serial.log' append='on'/>",
    "<stats period='5'/>",
  };
  for (gsize i = 0; i < G_N_ELEMENTS (parts); i++)
    has (xml, parts[i]);
  assert_null (strstr (xml, "<interface")); /* no network: no card, and never user networking */
}

static void
variations (void **state)
{
  UsherDomainSpec from = spec ();
  from.domain_type = "kvm";
  from.kernel = NULL;
  from.network = "default";
  from.data = "/d/data&.qcow2";
  g_autofree char *xml = write_xml (&from);
  has (xml, "<source file='/d/data&amp;.qcow2'/><backingStore/><target dev='vdb' bus='virtio'/><serial>usher-data</serial>");
  has (xml, "<cpu mode='host-passthrough'/>");
  has (xml, "<boot dev='hd'/>");
  has_not (xml, "<cmdline>");
  has (xml, "<source network='default'/>");
  has (xml, "<port isolated='yes'/>");

  has (xml, "<os><type");
  from.uefi = TRUE;
  g_autofree char *uefi = write_xml (&from);
  has (uefi, "<os firmware='efi'><type");
  has (uefi, "name='secure-boot'");
  from.uefi = FALSE;

  from.disk = from.base = from.data = NULL;
  g_autofree char *diskless = write_xml (&from);
  has_not (diskless, "<disk ");

  from.domain_type = "test";
  g_autofree char *test = write_xml (&from);
  has_not (test, "<devices>");
  has_not (test, "first");
}

static const UsherDomainHot hot = { .emulator = "/usr/libexec/usher/usher-emulator", .socket = "/s/golden.sock", .ticket = "tick<et",
                                    .elastic_mib = 3072 };

/* Parent and forks agree on the machine; what they differ in is here. */
static void
a_fork (void **state)
{
  UsherDomainRun run = { .start = 1, .started_at = 1700000000, .forking = TRUE };
  UsherDomainSpec from = spec ();
  from.base = "/b/base.qcow2";
  from.base_below = "/t/disk.qcow2";
  from.network = "default";
  from.data = "/d/data.qcow2";
  from.hot = &hot;
  from.run = &run;
  g_autofree char *xml = write_xml (&from);
  static const char *const parts[] = {
    "<emulator>/usr/libexec/usher/usher-emulator</emulator>", "mem-path=/proc/self/fd/200,share=off", "memory-backend=hot",
    "<qemu:arg value='-incoming'/><qemu:arg value='defer'/>", "<memballoon model='none'/>", "virtio-mem-pci,id=vmem0", "size=3072M",
    "<qemu:env name='USHER_GOLDEN_SOCKET' value='/s/golden.sock'/>", "value='tick&lt;et'", "memhp_default_state=online_movable",
    ("<source file='/b/base.qcow2'><seclabel model='dac' relabel='no'/></source><backingStore type='file'><format type='qcow2'/>"
     "<source file='/t/disk.qcow2'><seclabel model='dac' relabel='no'/></source><backingStore/></backingStore></backingStore>"),
  };
  for (gsize i = 0; i < G_N_ELEMENTS (parts); i++)
    has (xml, parts[i]);
  has_not (xml, "<interface"); /* plugged once it runs: the card's address would travel with the state */
  has_not (xml, "/d/data.qcow2");
  UsherDomainReading reading;
  assert_true (usher_domain_xml_read (xml, "dep", &reading, NULL));
  assert_true (reading.run.forking);
  assert_int_equal (reading.run.start, 1);
  g_autofree char *card = usher_domain_xml_network (&from);
  assert_true (g_str_has_prefix (card, "<interface type='network'>"));
}

static void
a_fork_elsewhere (void **state)
{
  UsherDomainSpec from = spec ();
  g_autofree char *linked = write_xml (&from), *same = usher_domain_xml_migrated (linked);
  assert_string_equal (same, linked);
  from.hot = &hot;
  g_autofree char *here = write_xml (&from), *there = usher_domain_xml_migrated (here);
  has_not (there, "usher-emulator");
  has_not (there, "/proc/self/fd");
  has_not (there, "-incoming");
  has_not (there, "USHER_GOLDEN");
  has (there, "value='memory-backend-ram,id=hot,size=1024M,x-use-canonical-path-for-ramblock-id=off'");
  has (there, "virtio-mem-pci,id=vmem0");
  has (there, "<memballoon model='none'/>");
}

static void
a_parent (void **state)
{
  UsherDomainHot parent = hot;
  UsherDomainSpec from = spec ();
  UsherDomainReading reading;
  parent.parent = TRUE;
  from.hot = &parent;
  g_autofree char *xml = usher_domain_xml (&from);
  assert_true (usher_domain_xml_read (xml, "dep", &reading, NULL));
  assert_false (reading.ours); /* nobody's desktop */
  has (xml, "mem-path=/proc/self/fd/200,share=on");
  has (xml, "<name>usher-parent-" ID "</name>");
  has_not (xml, "-incoming");
  g_autofree char *card = usher_domain_xml_network (&from);
  assert_string_equal (card, "");
}

static void
nothing_leaves_its_place (void **state)
{
  static const char *const evil = "'/><x a=\"1\">]]>&<!--";
  UsherDomainSpec from = spec ();
  from.name = from.machine = from.video = from.kernel = from.initrd = from.cmdline = from.disk = from.base = from.serial_log = evil;
  from.network = from.first_secret = evil;
  g_autofree char *xml = write_xml (&from);
  has_not (xml, "<x");
  has_not (xml, "<!--");
  from.deployment = evil;
  g_autofree char *marked = usher_domain_xml (&from);
  UsherDomainReading reading;
  assert_true (usher_domain_xml_read (marked, evil, &reading, NULL));
  assert_true (reading.ours);
}

static void
only_our_deployments_are_ours (void **state)
{
  UsherDomainSpec from = spec ();
  UsherDomainReading reading;
  g_autofree char *xml = usher_domain_xml (&from);
  assert_true (usher_domain_xml_read (xml, "another", &reading, NULL));
  assert_false (reading.ours);
  assert_true (usher_domain_xml_read ("<domain><metadata/></domain>", "dep", &reading, NULL));
  assert_false (reading.ours);
  assert_true (usher_domain_xml_read ("<domain><desktop deployment='dep'/></domain>", "dep", &reading, NULL));
  assert_false (reading.ours);
}

static void
a_run_is_read_back (void **state)
{
  UsherDomainRun run = { .start = 3, .started_at = 1700000000, .ready = TRUE, .console_revision = 9, .forking = TRUE };
  g_autofree char *element = usher_domain_xml_run (&run);
  /* as libvirt gives it back */
  g_autoptr (GString) xml = g_string_new (element);
  g_string_replace (xml, "<run ", "<usher-run:run xmlns:usher-run='" USHER_XML_RUN_URI "' ", 1);
  g_string_prepend (xml, "<domain><metadata>");
  g_string_append (xml, "</metadata><devices><graphics type='spice' port='5907' autoport='yes'/></devices></domain>");
  UsherDomainReading reading;
  assert_true (usher_domain_xml_read (xml->str, "dep", &reading, NULL));
  assert_int_equal (reading.run.start, run.start);
  assert_int_equal (reading.run.started_at, run.started_at);
  assert_int_equal (reading.run.ready, run.ready);
  assert_int_equal (reading.run.console_revision, run.console_revision);
  assert_int_equal (reading.run.forking, run.forking);
  assert_int_equal (reading.spice_port, 5907);
}

static void
odd_xml (void **state)
{
  UsherDomainReading reading = { .spice_port = 7 };
  g_autoptr (GError) error = NULL;
  assert_false (usher_domain_xml_read ("<domain>", "dep", &reading, &error));
  assert_true (g_error_matches (error, USHER_ERROR, USHER_ERROR_INVALID));
  assert_int_equal (reading.spice_port, 7);
  assert_true (usher_domain_xml_read ("<d><graphics type='spice' port='-1'/></d>", "dep", &reading, NULL));
  assert_int_equal (reading.spice_port, 0);
  assert_true (usher_domain_xml_read ("<d><graphics type='vnc' port='5900'/></d>", "dep", &reading, NULL));
  assert_int_equal (reading.spice_port, 0);
}

static void
graphics_keeps_sessions (void **state)
{
  g_autofree char *xml = usher_domain_xml_graphics ("<&'\"", 1700000000);
  has (xml, "passwd='&lt;&amp;&apos;&quot;'");
  has (xml, "passwdValidTo='2023-11-14T22:13:20'");
  has (xml, "connected='keep'");
}

static void
macs_are_stable_and_differ (void **state)
{
  char one[18], two[18], other[18];
  usher_domain_mac (ID, one);
  usher_domain_mac (ID, two);
  usher_domain_mac ("0f8fad5b-d9cb-469f-a165-70867728950f", other);
  assert_string_equal (one, two);
  assert_string_not_equal (one, other);
  assert_true (g_regex_match_simple ("^52:54(:[0-9a-f]{2}){4}$", one, 0, 0));
}

int
main (void)
{
  const struct CMUnitTest tests[] = {
    cmocka_unit_test (a_whole_domain),           cmocka_unit_test (variations),
    cmocka_unit_test (nothing_leaves_its_place), cmocka_unit_test (only_our_deployments_are_ours),
    cmocka_unit_test (a_run_is_read_back),       cmocka_unit_test (odd_xml),
    cmocka_unit_test (graphics_keeps_sessions),  cmocka_unit_test (macs_are_stable_and_differ),
    cmocka_unit_test (a_fork),                   cmocka_unit_test (a_parent),
    cmocka_unit_test (a_fork_elsewhere),
  };
  return cmocka_run_group_tests_name ("hostd/domain_xml", tests, NULL, NULL);
}
