/* Ends a blocking call on a socket when its time is over, by shutting the socket down under it. Internal to
 * broker/auth.
 *
 * libldap 2.5 has no working limit for a TLS handshake: with LDAP_OPT_NETWORK_TIMEOUT it asks a silent server
 * over and over without end, without it it waits for ever. */
#pragma once
#include <glib.h>

typedef struct _UsherWatchdog UsherWatchdog;

/* Watches `fd` (borrowed; a duplicate is kept, so that its number may be closed meanwhile) from now on. */
UsherWatchdog *usher_watchdog_new (int fd, gint64 until_us);

/* Stops watching. Returns whether it had to bite. */
gboolean usher_watchdog_free (UsherWatchdog *watchdog);
