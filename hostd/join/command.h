/* The command line of `usher-hostd join`. */
#pragma once

/* argv[0] is "join". Returns the exit status: 0 joined, or joined already. */
int usher_join_command (int argc, char **argv);
