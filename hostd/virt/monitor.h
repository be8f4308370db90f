/* QEMU's own monitor (QMP), through libvirt: for what libvirt has no call for. Private to hostd/virt. */
#pragma once
#include <jansson.h>
#include "hostd/virt/connection.h"

/* Runs `command` with `arguments` (stolen; NULL: none) and returns what it returned: json_decref(). NULL and MISSING
 * when QEMU knows no such device or object, INTERNAL with its words for any other refusal, else as
 * usher_virt_failed(). `fd` goes with the command; -1: none. */
json_t *usher_virt_monitor (virDomainPtr domain, const char *command, json_t *arguments, int fd, GError **error);

/* As above, for what returns nothing. */
gboolean usher_virt_monitor_do (virDomainPtr domain, const char *command, json_t *arguments, int fd, GError **error);
