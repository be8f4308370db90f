/* SPICE's link stage, parsed and built: pure, no sockets. All numbers little-endian, packed.
 *
 *     client: "REDQ" | u32 major = 2 | u32 minor | u32 size
 *             u32 connection_id | u8 channel_type | u8 channel_id | u32 common caps | u32 channel caps
 *             | u32 caps offset | caps …
 *     server: "REDQ" | 2 | 2 | u32 size
 *             u32 error | u8 key[162] | u32 common caps | u32 channel caps | u32 caps offset | caps …
 *     client: [u32 mechanism = 1, when both have AUTH_SELECTION] u8 ticket[128]
 *     server: u32 result
 *
 * The gateway answers the link before it knows which desktop it is for (only the ticket tells), so it
 * announces the capabilities of the servers it knows: usher_spice_caps_announced(). */
#pragma once
#include <glib.h>
#include "common/relay/link_key.h"

#define USHER_SPICE_HEADER_SIZE 16
#define USHER_SPICE_LINK_MAX 4096 /* bytes behind the header, libspice-server's own limit */
#define USHER_SPICE_CAPS_MAX 32   /* words of capabilities of each sort */

#define USHER_SPICE_CAP_AUTH_SELECTION (1u << 0) /* common capabilities */
#define USHER_SPICE_CAP_AUTH_SPICE (1u << 1)
#define USHER_SPICE_CAP_MINI_HEADER (1u << 3)
#define USHER_SPICE_AUTH_SPICE 1

typedef enum {
  USHER_SPICE_OK = 0,
  USHER_SPICE_ERROR = 1,
  USHER_SPICE_INVALID_MAGIC = 2,
  USHER_SPICE_INVALID_DATA = 3,
  USHER_SPICE_VERSION_MISMATCH = 4,
  USHER_SPICE_PERMISSION_DENIED = 7,
  USHER_SPICE_BAD_CONNECTION_ID = 8,
  USHER_SPICE_CHANNEL_NOT_AVAILABLE = 9,
} UsherSpiceResult;

typedef enum {
  USHER_SPICE_CHANNEL_MAIN = 1,
  USHER_SPICE_CHANNEL_DISPLAY,
  USHER_SPICE_CHANNEL_INPUTS,
  USHER_SPICE_CHANNEL_CURSOR,
  USHER_SPICE_CHANNEL_PLAYBACK,
  USHER_SPICE_CHANNEL_RECORD,
  USHER_SPICE_CHANNEL_SMARTCARD = 8,
  USHER_SPICE_CHANNEL_USBREDIR,
  USHER_SPICE_CHANNEL_PORT,
  USHER_SPICE_CHANNEL_WEBDAV,
} UsherSpiceChannelType;

/* "main", "display" …; "unknown" for what is none. Static. */
const char *usher_spice_channel_name (guint type);

typedef struct {
  guint count;
  guint32 words[USHER_SPICE_CAPS_MAX];
} UsherSpiceCaps;

/* What a client asks. */
typedef struct {
  guint32 connection_id; /* 0: a new session (main) */
  guint8 channel_type, channel_id;
  UsherSpiceCaps common, channel;
} UsherSpiceLink;

/* Parses untrusted bytes. Returns the bytes consumed, 0 when more are needed, or -1 with *error set and
 * *out_result the answer the client should get (INVALID_MAGIC: none, it does not speak SPICE). */
gssize usher_spice_link_parse (const guint8 *bytes, gsize length, UsherSpiceLink *out, UsherSpiceResult *out_result,
                               GError **error);

/* The bytes that ask the same of a server: what was parsed, in normal form. */
GByteArray *usher_spice_link_build (const UsherSpiceLink *link);

/* What a server answers. */
typedef struct {
  guint32 error;
  guint8 key[USHER_LINK_KEY_DER_SIZE];
  UsherSpiceCaps common, channel;
} UsherSpiceReply;

/* As usher_spice_link_parse(), of a server's answer. */
gssize usher_spice_reply_parse (const guint8 *bytes, gsize length, UsherSpiceReply *out, GError **error);
GByteArray *usher_spice_reply_build (const UsherSpiceReply *reply);

/* Fills in the capabilities announced for a channel; FALSE when the type is none that exists. */
gboolean usher_spice_caps_announced (guint channel_type, UsherSpiceCaps *out_common, UsherSpiceCaps *out_channel);

/* Whether a server has every capability that was announced for it. One with more is fine: neither end
 * uses what the client was not told of. */
gboolean usher_spice_caps_cover (const UsherSpiceCaps *found, const UsherSpiceCaps *announced);

gboolean usher_spice_caps_have (const UsherSpiceCaps *caps, guint32 first_word_bit);

/* The session id in the beginning of a main channel's stream (SPICE_MSG_MAIN_INIT, the first message):
 * bytes looked at, 0 when more are needed, -1 with *error set when it is something else. Nothing is consumed. */
gssize usher_spice_main_init_parse (const guint8 *bytes, gsize length, gboolean mini_header, guint32 *out_session_id,
                                    GError **error);
