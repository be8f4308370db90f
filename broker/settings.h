/* The one schema of broker.conf: sections broker, database, directory, hosts, keys. */
#pragma once
#include "common/settings.h"

extern const UsherSetting usher_broker_schema[];
