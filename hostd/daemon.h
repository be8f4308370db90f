/* The daemon: puts libvirt, storage, engine and sync together and runs until it is told to end. */
#pragma once
#include "common/settings.h"

/* Returns the exit status. Ends on SIGTERM and SIGINT; desktops go on. */
int usher_hostd_run (const UsherSettings *settings);
