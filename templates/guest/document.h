/* What a fork is told of itself: the one JSON document that a host writes to /usr/lib/usher/identity.
 *
 *   {"hostname":"office-7","machine_id":"32 hexadecimal digits","user":"alice","time":1790000000.25,"seed":"base64 of 64 octets"}
 *
 * One of `user` alone tells a machine that is itself already whose it is now.
 *
 * No GLib and no Jansson here: this is part of a small program that goes into guests, linked statically. Pure. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#define USHER_GUEST_SEED_SIZE 64
#define USHER_GUEST_ERROR_SIZE 160
#define USHER_GUEST_DOCUMENT_MAX 8192 /* octets */

typedef struct {
  char hostname[64];   /* one label: [a-z0-9-]{1,63} in either case, no '-' at an end */
  char machine_id[33]; /* 32 lower-case hexadecimal digits, not all zero */
  char user[257];      /* whose desktop it is; may be empty; no control character */
  bool user_only;      /* nothing else is said */
  struct timespec time;
  unsigned char seed[USHER_GUEST_SEED_SIZE];
} UsherGuestDocument;

/* Checks the whole document of `length` octets. False: `error` names the member and what is wrong, and `out` is of no
 * use. `user` alone is there, or each member, once; members of other names are passed over when they hold no array and no
 * object, for a guest may be older than its host. */
bool usher_guest_document_parse (const char *text, size_t length, UsherGuestDocument *out, char error[USHER_GUEST_ERROR_SIZE]);
