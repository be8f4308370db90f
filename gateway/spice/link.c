#include "gateway/spice/link.h"
#include <string.h>
#include "common/error.h"

#define MAGIC "REDQ"
#define MAJOR 2
#define MINOR 2
#define LINK_FIXED 18
#define REPLY_FIXED 178
#define MSG_MAIN_INIT 103
#define MAIN_INIT_SIZE 32

static guint32
get32 (const guint8 *bytes)
{
  guint32 value;
  memcpy (&value, bytes, sizeof value);
  return GUINT32_FROM_LE (value);
}

static void
put32 (GByteArray *into, guint32 value)
{
  const guint32 wire = GUINT32_TO_LE (value);
  g_byte_array_append (into, (const guint8 *) &wire, sizeof wire);
}

static gssize
bad (GError **error, const char *format, ...) G_GNUC_PRINTF (2, 3);

static gssize
bad (GError **error, const char *format, ...)
{
  va_list args;
  va_start (args, format);
  g_autofree char *message = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "SPICE link: %s", message);
  return -1;
}

/* The header: bytes of the whole message, 0 for more, -1. */
static gssize
parse_header (const guint8 *bytes, gsize length, guint32 smallest, UsherSpiceResult *out_result, GError **error)
{
  if (length == 0)
    return 0;
  if (memcmp (bytes, MAGIC, MIN (length, 4)) != 0)
    {
      *out_result = USHER_SPICE_INVALID_MAGIC;
      return bad (error, "it does not begin with REDQ");
    }
  if (length < USHER_SPICE_HEADER_SIZE)
    return 0;
  if (get32 (bytes + 4) != MAJOR)
    {
      *out_result = USHER_SPICE_VERSION_MISMATCH;
      return bad (error, "major version %u, want %u", get32 (bytes + 4), MAJOR);
    }
  const guint32 size = get32 (bytes + 12);
  *out_result = USHER_SPICE_INVALID_DATA;
  if (size < smallest || size > USHER_SPICE_LINK_MAX)
    return bad (error, "size %u, want %u to %u", size, smallest, USHER_SPICE_LINK_MAX);
  return length >= USHER_SPICE_HEADER_SIZE + size ? (gssize) (USHER_SPICE_HEADER_SIZE + size) : 0;
}

/* Both lists of capabilities, counts and offset at `counts`, within a message of `size` bytes. */
static gboolean
parse_caps (const guint8 *message, guint32 size, guint32 fixed, UsherSpiceCaps *out_common, UsherSpiceCaps *out_channel,
            GError **error)
{
  const guint8 *counts = message + fixed - 12;
  const guint32 common = get32 (counts), channel = get32 (counts + 4), offset = get32 (counts + 8);
  if (common > USHER_SPICE_CAPS_MAX || channel > USHER_SPICE_CAPS_MAX)
    return bad (error, "%u and %u words of capabilities, want at most %u", common, channel, USHER_SPICE_CAPS_MAX) > 0;
  if (offset < fixed || offset > size || (size - offset) / 4 < common + channel)
    return bad (error, "capabilities at %u do not fit in %u bytes", offset, size) > 0;
  const guint8 *at = message + offset;
  out_common->count = common;
  out_channel->count = channel;
  for (guint i = 0; i < common; i++, at += 4)
    out_common->words[i] = get32 (at);
  for (guint i = 0; i < channel; i++, at += 4)
    out_channel->words[i] = get32 (at);
  return TRUE;
}

gssize
usher_spice_link_parse (const guint8 *bytes, gsize length, UsherSpiceLink *out, UsherSpiceResult *out_result,
                        GError **error)
{
  const gssize total = parse_header (bytes, length, LINK_FIXED, out_result, error);
  if (total <= 0)
    return total;
  const guint8 *message = bytes + USHER_SPICE_HEADER_SIZE;
  UsherSpiceLink link = { .connection_id = get32 (message), .channel_type = message[4], .channel_id = message[5] };
  if (!parse_caps (message, (guint32) total - USHER_SPICE_HEADER_SIZE, LINK_FIXED, &link.common, &link.channel, error))
    return -1;
  *out_result = USHER_SPICE_OK;
  *out = link;
  return total;
}

static void
put_header (GByteArray *into, guint32 size)
{
  g_byte_array_append (into, (const guint8 *) MAGIC, 4);
  put32 (into, MAJOR);
  put32 (into, MINOR);
  put32 (into, size);
}

static void
put_caps (GByteArray *into, guint32 fixed, const UsherSpiceCaps *common, const UsherSpiceCaps *channel)
{
  put32 (into, common->count);
  put32 (into, channel->count);
  put32 (into, fixed);
  for (guint i = 0; i < common->count; i++)
    put32 (into, common->words[i]);
  for (guint i = 0; i < channel->count; i++)
    put32 (into, channel->words[i]);
}

GByteArray *
usher_spice_link_build (const UsherSpiceLink *link)
{
  GByteArray *bytes = g_byte_array_new ();
  put_header (bytes, LINK_FIXED + 4 * (link->common.count + link->channel.count));
  put32 (bytes, link->connection_id);
  g_byte_array_append (bytes, &link->channel_type, 1);
  g_byte_array_append (bytes, &link->channel_id, 1);
  put_caps (bytes, LINK_FIXED, &link->common, &link->channel);
  return bytes;
}

gssize
usher_spice_reply_parse (const guint8 *bytes, gsize length, UsherSpiceReply *out, GError **error)
{
  UsherSpiceResult result = USHER_SPICE_OK;
  const gssize total = parse_header (bytes, length, 4, &result, error);
  if (total <= 0)
    return total;
  const guint32 size = (guint32) total - USHER_SPICE_HEADER_SIZE;
  const guint8 *message = bytes + USHER_SPICE_HEADER_SIZE;
  UsherSpiceReply reply = { .error = get32 (message) };
  /* A refusal may be shorter: only its error counts. */
  if (reply.error == USHER_SPICE_OK)
    {
      if (size < REPLY_FIXED)
        return bad (error, "an answer of %u bytes, want at least %u", size, REPLY_FIXED);
      memcpy (reply.key, message + 4, sizeof reply.key);
      if (!parse_caps (message, size, REPLY_FIXED, &reply.common, &reply.channel, error))
        return -1;
    }
  *out = reply;
  return total;
}

GByteArray *
usher_spice_reply_build (const UsherSpiceReply *reply)
{
  GByteArray *bytes = g_byte_array_new ();
  put_header (bytes, REPLY_FIXED + 4 * (reply->common.count + reply->channel.count));
  put32 (bytes, reply->error);
  g_byte_array_append (bytes, reply->key, sizeof reply->key);
  put_caps (bytes, REPLY_FIXED, &reply->common, &reply->channel);
  return bytes;
}

/* --- capabilities ------------------------------------------------------------------------------ */

/* Of libspice-server 0.15.1 (QEMU 7.2, Debian 12), captured. A word that is 0 in an empty list is none. */
#define COMMON_WORD 0x0b /* auth selection, auth SPICE, mini header */

static const struct {
  const char *name;
  gboolean exists;
  guint count;
  guint32 word;
} channels[] = {
  [USHER_SPICE_CHANNEL_MAIN] = { "main", TRUE, 1, 0xf },
  [USHER_SPICE_CHANNEL_DISPLAY] = { "display", TRUE, 1, 0x1052 },
  [USHER_SPICE_CHANNEL_INPUTS] = { "inputs", TRUE, 1, 0x1 },
  [USHER_SPICE_CHANNEL_CURSOR] = { "cursor", TRUE, 0, 0 },
  [USHER_SPICE_CHANNEL_PLAYBACK] = { "playback", TRUE, 1, 0xa },
  [USHER_SPICE_CHANNEL_RECORD] = { "record", TRUE, 1, 0x6 },
  [USHER_SPICE_CHANNEL_SMARTCARD] = { "smartcard", TRUE, 0, 0 },
  [USHER_SPICE_CHANNEL_USBREDIR] = { "usbredir", TRUE, 1, 0x1 },
  [USHER_SPICE_CHANNEL_PORT] = { "port", TRUE, 1, 0x1 },
  [USHER_SPICE_CHANNEL_WEBDAV] = { "webdav", TRUE, 1, 0x1 },
};

const char *
usher_spice_channel_name (guint type)
{
  return type < G_N_ELEMENTS (channels) && channels[type].exists ? channels[type].name : "unknown";
}

gboolean
usher_spice_caps_announced (guint channel_type, UsherSpiceCaps *out_common, UsherSpiceCaps *out_channel)
{
  if (channel_type >= G_N_ELEMENTS (channels) || !channels[channel_type].exists)
    return FALSE;
  *out_common = (UsherSpiceCaps){ .count = 1, .words = { COMMON_WORD } };
  *out_channel = (UsherSpiceCaps){ .count = channels[channel_type].count, .words = { channels[channel_type].word } };
  return TRUE;
}

gboolean
usher_spice_caps_cover (const UsherSpiceCaps *found, const UsherSpiceCaps *announced)
{
  /* A missing word is a word of zeros. */
  for (guint i = 0; i < announced->count; i++)
    if ((announced->words[i] & ~(i < found->count ? found->words[i] : 0)) != 0)
      return FALSE;
  return TRUE;
}

gboolean
usher_spice_caps_have (const UsherSpiceCaps *caps, guint32 first_word_bit)
{
  return caps->count > 0 && (caps->words[0] & first_word_bit) != 0;
}

gssize
usher_spice_main_init_parse (const guint8 *bytes, gsize length, gboolean mini_header, guint32 *out_session_id,
                             GError **error)
{
  /* mini: u16 type, u32 size; full: u64 serial, u16 type, u32 size, u32 sub list */
  const gsize type_at = mini_header ? 0 : 8, header = mini_header ? 6 : 18;
  if (length < header + 4)
    return 0;
  const guint type = bytes[type_at] | (guint) bytes[type_at + 1] << 8;
  const guint32 size = get32 (bytes + type_at + 2);
  if (type != MSG_MAIN_INIT || size != MAIN_INIT_SIZE)
    return bad (error, "the first message of the main channel is type %u, %u bytes, want %u, %u", type, size,
                MSG_MAIN_INIT, MAIN_INIT_SIZE);
  *out_session_id = get32 (bytes + header);
  return (gssize) (header + 4);
}
