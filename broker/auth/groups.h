/* Which groups an entry is in, groups within groups included. Internal to broker/auth. */
#pragma once
#include "broker/auth/connection.h"
#include "broker/auth/group_memory.h"

/* Fills person->groups and person->group_names for person->dn. A cycle of groups ends; over
 * setup->group_limit groups is UNAVAILABLE, as is an in-chain question to a server that lacks the rule.
 * What the recursive climb found above the person's own groups is taken from `memory`, or put there. */
gboolean usher_groups_collect (UsherConnection *connection, const UsherDirectorySetup *setup, UsherGroupMemory *memory,
                               UsherPerson *person, gint64 deadline_us, GError **error);
