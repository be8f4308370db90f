/* Named crash points. In a build with --enable-fault-points, the environment's USHER_FAULT=NAME kills the
 * process (SIGKILL) when it comes to that point, USHER_FAULT=NAME:3 the third time; in any other build
 * the macro is nothing. tests/integration walks every name that usher_fault_names lists.
 *
 * USHER_FAULT_FILE=PATH: the point kills only while PATH exists and removes it first, so that a daemon
 * restarted with the same environment survives.
 * USHER_FAULT_HOLD=1, with such a file: nothing is killed; the thread that comes to the point waits there, once, until the file
 * is there again (60 s at most), so that a test can kill another process at that very instant. */
#pragma once
#include "config.h"

#ifdef USHER_FAULT_POINTS
void usher_fault_point (const char *name);
#define USHER_FAULT_POINT(name) usher_fault_point (name)
#else
#define USHER_FAULT_POINT(name) ((void) 0)
#endif
