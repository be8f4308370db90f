/* Which groups an entry is in, groups within groups included. Internal to broker/auth. */
#pragma once
#include "broker/auth/connection.h"

/* Fills person->groups and person->group_names for person->dn. A cycle of groups ends; over
 * setup->group_limit groups is UNAVAILABLE, as is an in-chain question to a server that lacks the rule. */
gboolean usher_groups_collect (UsherConnection *connection, const UsherDirectorySetup *setup, UsherPerson *person,
                               gint64 deadline_us, GError **error);
