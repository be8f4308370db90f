#include "hostd/settings.h"

/* Times are in the unit their name ends with. */
const UsherSetting usher_hostd_schema[] = {
  { "hostd", "name", USHER_SETTING_STRING, "", 0, 0, NULL, FALSE,
    "The host's name as the broker knows it; empty: the machine's host name." },
  { "hostd", "state_dir", USHER_SETTING_PATH, "/var/lib/usher", 0, 0, NULL, FALSE,
    "Holds desktops/ID/ with each desktop's disk; QEMU's user must be able to pass through it." },
  { "hostd", "template_dir", USHER_SETTING_PATH, "/var/lib/usher/templates", 0, 0, NULL, FALSE,
    "The host's own golden templates: NAME/VERSION/manifest.json and the files it names; fetched ones come here." },
  { "hostd", "run_dir", USHER_SETTING_PATH, "/run/usher", 0, 0, NULL, FALSE,
    "Holds consoles/ID, which tells the door where a desktop listens." },
  { "hostd", "libvirt_uri", USHER_SETTING_STRING, "qemu:///system", 0, 0, NULL, FALSE, "The libvirt to drive." },
  { "hostd", "domain_type", USHER_SETTING_CHOICE, "auto", 0, 0, "auto|kvm|qemu|test", FALSE,
    "How guests run; auto: kvm when the processor has vmx or svm and /dev/kvm is there, else qemu (emulation)." },
  { "hostd", "reserve_mib", USHER_SETTING_INT, "1024", 0, 1048576, NULL, FALSE,
    "Memory kept for the host itself and not offered to desktops." },
  { "hostd", "disk_reserve_mib", USHER_SETTING_INT, "1024", 0, 104857600, NULL, FALSE,
    "Disk space kept free under state_dir: with less, no new desktop is made." },
  { "hostd", "workers", USHER_SETTING_INT, "4", 1, 64, NULL, FALSE,
    "Libvirt calls and disk commands that run at the same time." },
  { "hostd", "shutdown_s", USHER_SETTING_INT, "60", 1, 3600, NULL, FALSE,
    "How long a guest may take to shut down or restart by itself before it is made to." },
  { "hostd", "log_level", USHER_SETTING_CHOICE, "info", 0, 0, "error|warning|notice|info|debug", FALSE,
    "The least important messages still logged." },
  { "clones", "instant", USHER_SETTING_BOOL, "yes", 0, 0, NULL, FALSE,
    "Whether desktops are forked from running parents where that is wanted and can be done; no: all are linked clones." },
  { "clones", "emulator", USHER_SETTING_PATH, "", 0, 0, NULL, FALSE,
    "The program that libvirt starts in QEMU's place for parents and forks; empty: where it is installed. QEMU's user must reach it." },
  { "images", "shared", USHER_SETTING_LIST, "", 0, 0, NULL, FALSE,
    "Directories of golden templates shared with the broker or other hosts (NFS, CephFS, the broker's own on one machine): looked at first." },
  { "images", "rate_mib_s", USHER_SETTING_INT, "0", 0, 1048576, NULL, FALSE,
    "The most that fetching template versions from the broker may take of the network, in MiB a second; 0: no limit." },
  { "images", "keep_s", USHER_SETTING_INT, "86400", 0, 315360000, NULL, FALSE,
    "How long a fetched version that nothing wants or stands on is kept." },
  { "images", "reserve_mib", USHER_SETTING_INT, "1024", 0, 104857600, NULL, FALSE,
    "Disk space kept free under template_dir: a fetch leaves it, and with less unused fetched versions go sooner." },
  { "broker", "sync_url", USHER_SETTING_STRING, "", 0, 0, NULL, FALSE,
    "The broker's address for hosts (https); empty: the one learnt when the host joined." },
  { "broker", "certificate", USHER_SETTING_PATH, "/var/lib/usher/host/host.pem", 0, 0, NULL, FALSE,
    "This host's certificate; written by join." },
  { "broker", "key", USHER_SETTING_PATH, "/var/lib/usher/host/host.key", 0, 0, NULL, FALSE,
    "This host's private key; written by join." },
  { "broker", "ca", USHER_SETTING_PATH, "/var/lib/usher/host/ca.pem", 0, 0, NULL, FALSE,
    "The deployment's certificate authority; written by join." },
  { "broker", "grant_key", USHER_SETTING_PATH, "/var/lib/usher/host/grant.pub", 0, 0, NULL, FALSE,
    "The public key that broker's grants are checked with; written by join." },
  { "broker", "identity", USHER_SETTING_PATH, "/var/lib/usher/host/host.json", 0, 0, NULL, FALSE,
    "Host id, deployment and sync address learnt at join; written by join." },
  { "door", "listen", USHER_SETTING_ADDRESS, "unix:/run/usher/door.sock", 0, 0, NULL, FALSE,
    "Where the door listens: a unix socket for a gateway on this machine, or HOST:PORT with mutual TLS." },
  { "door", "advertise", USHER_SETTING_ADDRESS, "", 0, 0, NULL, FALSE,
    "The door's address as gateways reach it; empty: the one it listens on." },
  { NULL, NULL, USHER_SETTING_STRING, NULL, 0, 0, NULL, FALSE, NULL },
};

const char *
usher_hostd_settings_name (const UsherSettings *settings)
{
  const char *name = usher_settings_get_string (settings, "hostd", "name");
  return *name != '\0' ? name : g_get_host_name ();
}

const char *
usher_hostd_settings_door (const UsherSettings *settings)
{
  const char *advertise = usher_settings_get_string (settings, "door", "advertise");
  return *advertise != '\0' ? advertise : usher_settings_get_string (settings, "door", "listen");
}

char *
usher_hostd_settings_dup_consoles_dir (const UsherSettings *settings)
{
  return g_build_filename (usher_settings_get_string (settings, "hostd", "run_dir"), "consoles", NULL);
}
