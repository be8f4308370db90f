/* What usher-emulator reads from the arguments that libvirt gives it. Pure, without GLib. */
#pragma once
#include <stdbool.h>

/* Whether these are the arguments of a parent or a fork, whose RAM comes from hostd. */
bool usher_emulator_wants_ram (char *const *argv);

/* The domain's UUID, borrowed from argv; NULL when there is none. */
const char *usher_emulator_uuid (char *const *argv);
