/* The settings of section [directory]: entries for the broker's one schema table (common/settings.h).
 *
 *     static const UsherSetting schema[] = { …, USHER_DIRECTORY_SETTINGS, { .section = NULL } }; */
#pragma once
#include "common/settings.h"

#define USHER_DIRECTORY_SETTINGS \
  { "directory", "servers", USHER_SETTING_LIST, NULL, 0, 0, NULL, FALSE, \
    "LDAP servers in order of preference: ldap://HOST[:PORT], ldaps://HOST[:PORT] or ldapi://%2Fpath%2Fsocket" }, \
  { "directory", "starttls", USHER_SETTING_CHOICE, "require", 0, 0, "require|never", FALSE, \
    "whether ldap:// connections must be upgraded to TLS; never: passwords cross the network in the clear" }, \
  { "directory", "ca_file", USHER_SETTING_PATH, "/etc/ssl/certs/ca-certificates.crt", 0, 0, NULL, FALSE, \
    "certificate authorities (PEM) that may vouch for the servers" }, \
  { "directory", "bind_dn", USHER_SETTING_STRING, "", 0, 0, NULL, FALSE, \
    "DN of the service account that searches; empty: search anonymously" }, \
  { "directory", "bind_password_file", USHER_SETTING_PATH, "", 0, 0, NULL, FALSE, \
    "file that holds the service account's password" }, \
  { "directory", "user_base", USHER_SETTING_STRING, NULL, 0, 0, NULL, FALSE, \
    "where accounts are searched (whole subtree)" }, \
  { "directory", "user_filter", USHER_SETTING_STRING, "(objectClass=person)", 0, 0, NULL, FALSE, \
    "what an account must match besides its name" }, \
  { "directory", "user_name_attribute", USHER_SETTING_STRING, "uid", 0, 0, NULL, FALSE, \
    "attribute of the name people type; Active Directory: sAMAccountName" }, \
  { "directory", "display_name_attribute", USHER_SETTING_STRING, "cn", 0, 0, NULL, FALSE, \
    "attribute of the name people read; Active Directory: displayName" }, \
  { "directory", "mail_attribute", USHER_SETTING_STRING, "mail", 0, 0, NULL, FALSE, "attribute of the mail address" }, \
  { "directory", "group_base", USHER_SETTING_STRING, NULL, 0, 0, NULL, FALSE, \
    "where groups are searched (whole subtree)" }, \
  { "directory", "group_filter", USHER_SETTING_STRING, \
    "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=group))", 0, 0, NULL, FALSE, \
    "what a group must match besides its member" }, \
  { "directory", "group_member_attribute", USHER_SETTING_STRING, "member", 0, 0, NULL, FALSE, \
    "attribute of a group that holds its members' DNs; e.g. uniqueMember" }, \
  { "directory", "group_name_attribute", USHER_SETTING_STRING, "cn", 0, 0, NULL, FALSE, "attribute of a group's name" }, \
  { "directory", "group_nesting", USHER_SETTING_CHOICE, "recursive", 0, 0, "recursive|in-chain|direct", FALSE, \
    "how groups within groups are found: our own search level by level, Active Directory's rule, or not" }, \
  { "directory", "group_depth", USHER_SETTING_INT, "10", 1, 100, NULL, FALSE, \
    "levels of groups within groups that the recursive search climbs" }, \
  { "directory", "group_limit", USHER_SETTING_INT, "2000", 1, 100000, NULL, FALSE, \
    "most groups of one person; beyond it the sign-in could not find out" }, \
  { "directory", "group_memory_s", USHER_SETTING_INT, "10", 0, 3600, NULL, FALSE, \
    "how long it is remembered which groups are in which; the groups a person is in are asked at each sign-in; 0: never" }, \
  { "directory", "connect_timeout_ms", USHER_SETTING_INT, "2000", 50, 60000, NULL, FALSE, \
    "time to reach one server, TLS and service bind included" }, \
  { "directory", "operation_timeout_ms", USHER_SETTING_INT, "5000", 50, 60000, NULL, FALSE, \
    "time for one search or bind" }, \
  { "directory", "total_timeout_ms", USHER_SETTING_INT, "12000", 50, 120000, NULL, FALSE, \
    "time for a whole sign-in, over all servers" }, \
  { "directory", "avoid_failed_s", USHER_SETTING_INT, "30", 0, 3600, NULL, FALSE, \
    "how long a server that failed is tried only after the others" }, \
  { "directory", "workers", USHER_SETTING_INT, "8", 1, 64, NULL, FALSE, \
    "sign-ins asked of the directory at the same time, each on its own pair of connections" }
