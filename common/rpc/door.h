/* The door's greeting: what a gateway sends first on a connection to a host's door, and the answer.
 * All numbers big-endian. After an answer of OK the connection is a plain byte relay.
 *
 *     request: "UDOR" | u8 version = 1 | u8 service | u16 grant length (1..1024) | grant
 *     answer:  "UDOR" | u8 version = 1 | u8 status  | u16 message length (0..512) | message (UTF-8)
 */
#pragma once
#include <glib.h>
#include "common/rpc/grant.h"

#define USHER_DOOR_HEAD 8
#define USHER_DOOR_MESSAGE_MAX 512

typedef enum {
  USHER_DOOR_OK = 0,
  USHER_DOOR_INVALID = 1,     /* the greeting is malformed */
  USHER_DOOR_REFUSED = 2,     /* the grant is not good here, or not now */
  USHER_DOOR_MISSING = 3,     /* this host holds no such desktop */
  USHER_DOOR_UNAVAILABLE = 4, /* it holds it, and nothing answers there */
} UsherDoorStatus;

/* Bytes of a request; `grant` is a sealed grant. */
GByteArray *usher_door_request (UsherService service, const char *grant);

/* Parses untrusted bytes. Returns the bytes consumed, 0 when more are needed, -1 with *error set when
 * it can't become valid. *out_grant points into `bytes` and is not NUL-terminated. */
gssize usher_door_request_parse (const guint8 *bytes, gsize length, UsherService *out_service, const char **out_grant,
                                 gsize *out_grant_length, GError **error);

GByteArray *usher_door_answer (UsherDoorStatus status, const char *message);

/* As usher_door_request_parse(); *out_message is a copy. */
gssize usher_door_answer_parse (const guint8 *bytes, gsize length, UsherDoorStatus *out_status, char **out_message,
                                GError **error);
