#include "broker/settings.h"
#include "broker/auth/directory_settings.h"

#define TEXT(section, key, fallback, help) { section, key, USHER_SETTING_STRING, fallback, 0, 0, NULL, FALSE, help }
#define PATH(section, key, fallback, help) { section, key, USHER_SETTING_PATH, fallback, 0, 0, NULL, FALSE, help }
#define NUMBER(section, key, fallback, min, max, help) \
  { section, key, USHER_SETTING_INT, fallback, min, max, NULL, FALSE, help }
#define CHOICE(section, key, fallback, choices, help) \
  { section, key, USHER_SETTING_CHOICE, fallback, 0, 0, choices, FALSE, help }
#define SECRET(section, key, fallback, help) { section, key, USHER_SETTING_STRING, fallback, 0, 0, NULL, TRUE, help }

const UsherSetting usher_broker_schema[] = {
  TEXT ("broker", "name", "broker", "this broker's name in logs and leases; unique among brokers of one database"),
  TEXT ("broker", "public_url", NULL, "https://HOST[:PORT] at which people reach the gateways"),
  PATH ("broker", "api_socket", "/run/usher/api.sock", "unix socket of the API and portal, which gateways relay to"),
  PATH ("broker", "gateway_socket", "/run/usher/gateway.sock", "unix socket on which gateways redeem tickets"),
  CHOICE ("broker", "socket_mode", "0660", "0600|0660|0666", "permission bits of both sockets"),
  TEXT ("broker", "socket_group", "", "group both sockets are given to; empty: the broker's own"),
  TEXT ("broker", "web_dir", "", "folder of the portal's files, served at /; empty: none"),
  TEXT ("broker", "spice_html5_dir", "", "folder of the spice-html5 package, served at /spice-html5/; empty: none"),
  CHOICE ("broker", "log_level", "info", "error|warning|notice|info|debug", "least important lines that are logged"),
  TEXT ("broker", "admin_group", "usher-admins", "directory group (name or DN) whose members administer"),
  NUMBER ("broker", "session_ttl_s", "36000", 60, 2592000, "how long a sign-in lasts"),
  NUMBER ("broker", "ticket_ttl_s", "30", 5, 600, "how long a ticket to a desktop can be redeemed"),
  NUMBER ("broker", "grant_ttl_s", "300", 30, 3600, "how long a gateway may open further channels of a session at the door"),
  TEXT ("broker", "gateway_ca", "", "certificate (PEM file) of the CA that viewers check the gateway against; empty: system's"),
  TEXT ("broker", "gateway_certificate", "",
        "the gateway's certificate (PEM file), whose subject viewers check; empty: they check the host name"),
  SECRET ("database", "conninfo", NULL, "libpq connection string of the role that runs the broker"),
  SECRET ("database", "owner_conninfo", "", "of the role that owns the schema and migrates it; empty: others migrate"),
  NUMBER ("database", "workers", "8", 1, 64, "connections to the database"),
  NUMBER ("database", "queue", "1024", 8, 100000, "requests that may wait for one; more are told to come again"),
  USHER_DIRECTORY_SETTINGS,
  { "hosts", "listen", USHER_SETTING_ADDRESS, "127.0.0.1:8444", 0, 0, NULL, FALSE,
    "HOST:PORT for hosts (mutual TLS); HOST is a numeric address or *" },
  TEXT ("hosts", "advertise_url", NULL, "https://HOST:PORT at which hosts reach that port; told to hosts that join"),
  PATH ("hosts", "ca_certificate", NULL, "certificate (PEM) of the CA that signs hosts"),
  PATH ("hosts", "ca_key", NULL, "its private key (PEM)"),
  PATH ("hosts", "certificate", NULL, "the broker's own certificate (PEM) on that port"),
  PATH ("hosts", "key", NULL, "its private key (PEM)"),
  NUMBER ("hosts", "certificate_days", "365", 1, 3650, "how long a host's certificate is good"),
  NUMBER ("hosts", "join_token_ttl_s", "3600", 60, 604800, "how long a join token can be used"),
  PATH ("keys", "dir", NULL, "folder of grant.key, grant.pub and console.key; made when missing"),
  PATH ("templates", "dir", "/var/lib/usher/images", "folder of the template versions that were taken in; all brokers share it"),
  NUMBER ("templates", "max_upload_mib", "65536", 1, 67108864, "files of a version may have so much together"),
  NUMBER ("templates", "max_disk_gib", "2048", 1, 65536, "a guest may see so much of its disk"),
  NUMBER ("templates", "max_uploads", "8", 1, 1000, "uploads under way at a time"),
  NUMBER ("templates", "reserve_mib", "1024", 0, 1048576, "what stays free of the folder's disk"),
  NUMBER ("templates", "upload_idle_s", "86400", 1, 2592000, "an upload nobody went on with for so long is removed"),
  { .section = NULL },
};
