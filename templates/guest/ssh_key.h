/* A new Ed25519 key as OpenSSH keeps it, made in this process: starting ssh-keygen costs an emulated guest a second.
 * The layout of the private key is OpenSSH's PROTOCOL.key, without encryption. */
#pragma once
#include <stddef.h>

#define USHER_SSH_KEY_SIZE 700    /* room for the private key's text and its NUL */
#define USHER_SSH_PUBLIC_SIZE 300 /* for the line of the public one */

/* Makes a key from the system's random numbers. `comment`: at most 80 octets. Both texts end in a newline. */
void usher_ssh_key_make (const char *comment, char out_private[USHER_SSH_KEY_SIZE], char out_public[USHER_SSH_PUBLIC_SIZE]);
