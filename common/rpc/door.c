#include "common/rpc/door.h"

#include <string.h>

#include "common/error.h"

#define VERSION 1

static const guint8 magic[4] = { 'U', 'D', 'O', 'R' };

static GByteArray *
message (guint8 code, const char *body, gsize length)
{
  GByteArray *out = g_byte_array_sized_new (USHER_DOOR_HEAD + length);
  const guint8 head[] = { VERSION, code, length >> 8, length & 0xff };
  g_byte_array_append (out, magic, sizeof magic);
  g_byte_array_append (out, head, sizeof head);
  g_byte_array_append (out, (const guint8 *) body, length);
  return out;
}

/* The part both directions share. Returns as the parse functions do; *out_body points into `bytes`. */
static gssize
parse (const guint8 *bytes, gsize length, gsize body_max, guint8 *out_code, const char **out_body, gsize *out_body_length,
       GError **error)
{
  gsize seen = MIN (length, sizeof magic);
  if (memcmp (bytes, magic, seen) != 0 || (length > 4 && bytes[4] != VERSION))
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "door greeting: does not begin with UDOR, version %d", VERSION);
      return -1;
    }
  if (length < USHER_DOOR_HEAD)
    return 0;
  gsize body_length = (gsize) bytes[6] << 8 | bytes[7];
  if (body_length > body_max)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "door greeting: says %" G_GSIZE_FORMAT " bytes, at most %" G_GSIZE_FORMAT
                   " are allowed", body_length, body_max);
      return -1;
    }
  if (length < USHER_DOOR_HEAD + body_length)
    return 0;
  *out_code = bytes[5];
  *out_body = (const char *) bytes + USHER_DOOR_HEAD;
  *out_body_length = body_length;
  return USHER_DOOR_HEAD + body_length;
}

GByteArray *
usher_door_request (UsherService service, const char *grant)
{
  return message (service, grant, strlen (grant));
}

gssize
usher_door_request_parse (const guint8 *bytes, gsize length, UsherService *out_service, const char **out_grant,
                          gsize *out_grant_length, GError **error)
{
  guint8 code = 0;
  const char *grant = NULL;
  gsize grant_length = 0;
  gssize used = parse (bytes, length, USHER_GRANT_MAX, &code, &grant, &grant_length, error);
  if (used <= 0)
    return used;
  if (grant_length == 0 || (code != USHER_SERVICE_SPICE && code != USHER_SERVICE_RDP))
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID,
                   grant_length == 0 ? "door greeting: holds no grant" : "door greeting: service %d is not known", code);
      return -1;
    }
  *out_service = code;
  *out_grant = grant;
  *out_grant_length = grant_length;
  return used;
}

GByteArray *
usher_door_answer (UsherDoorStatus status, const char *text)
{
  return message (status, text, MIN (strlen (text), USHER_DOOR_MESSAGE_MAX));
}

gssize
usher_door_answer_parse (const guint8 *bytes, gsize length, UsherDoorStatus *out_status, char **out_message, GError **error)
{
  guint8 code = 0;
  const char *text = NULL;
  gsize text_length = 0;
  gssize used = parse (bytes, length, USHER_DOOR_MESSAGE_MAX, &code, &text, &text_length, error);
  if (used <= 0)
    return used;
  if (code > USHER_DOOR_UNAVAILABLE)
    {
      g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "door answer: status %d is not known", code);
      return -1;
    }
  *out_status = code;
  *out_message = g_utf8_make_valid (text, text_length);
  return used;
}
