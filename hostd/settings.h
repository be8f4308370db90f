/* The settings of one host, hostd.conf: read by usher-hostd and by usher-door, so that they agree.
 *
 *     [hostd]   the host, its directories, libvirt
 *     [clones]  instant clones
 *     [images]  how golden templates come here
 *     [broker]  who it obeys: the files that `usher-hostd join` writes
 *     [door]    where gateways come in
 *
 * `usher-hostd --help-config` prints every key with its default. */
#pragma once
#include "common/settings.h"

/* The schema of hostd.conf, for usher_settings_load() and usher_settings_from_command_line(). */
extern const UsherSetting usher_hostd_schema[];

/* This host's name: [hostd] name, or the machine's host name when that is empty. Borrowed. */
const char *usher_hostd_settings_name (const UsherSettings *settings);

/* Where gateways find the door: [door] advertise, or [door] listen when that is empty. Borrowed. */
const char *usher_hostd_settings_door (const UsherSettings *settings);

/* RUN/consoles, where RUN/consoles/DESKTOP-ID says where a desktop's services listen. Owned by the caller. */
char *usher_hostd_settings_dup_consoles_dir (const UsherSettings *settings);
