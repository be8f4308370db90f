/* The settings of a gateway, gateway.conf. */
#pragma once
#include "common/settings.h"

extern const UsherSetting usher_gateway_schema[];
