/* The one schema of broker.conf: sections broker, database, directory, hosts, keys, templates. */
#pragma once
#include "common/settings.h"

extern const UsherSetting usher_broker_schema[];
