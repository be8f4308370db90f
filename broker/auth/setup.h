/* The settings of the directory, as the rest of this folder reads them; and which servers failed lately.
 * Internal to broker/auth. */
#pragma once
#include "broker/auth/directory.h"

typedef enum { USHER_NESTING_RECURSIVE, USHER_NESTING_IN_CHAIN, USHER_NESTING_DIRECT } UsherNesting;

struct _UsherDirectorySetup {
  char **servers; /* URIs in order of preference */
  guint server_count;
  gboolean starttls;
  char *ca_file;
  char *bind_dn; /* "": anonymous */
  UsherSecret *bind_password;
  char *user_base, *user_filter;
  char *user_name_attribute, *display_name_attribute, *mail_attribute;
  char *group_base, *group_filter, *group_member_attribute, *group_name_attribute;
  UsherNesting nesting;
  guint group_depth, group_limit, group_memory_s;
  guint connect_timeout_ms, operation_timeout_ms, total_timeout_ms, avoid_failed_s;
  guint workers;

  GMutex lock;
  gint64 *avoid_until_us; /* under lock, per server, monotonic; 0: did not fail */
};

/* Server indices into `out` (server_count of them): those to be avoided at `now_us` come last, otherwise in
 * order of preference. Every server is always in it, so that an outage ends when any of them is back. */
void usher_directory_setup_order (UsherDirectorySetup *setup, gint64 now_us, guint *out);

/* Notes that the server answered, or that it failed at `now_us`. Returns whether that is news. */
gboolean usher_directory_setup_note (UsherDirectorySetup *setup, guint server, gboolean failed, gint64 now_us);
