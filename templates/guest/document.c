#include "templates/guest/document.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX 512

/* What is still to be read, and where to say what is wrong. */
typedef struct {
  const char *at, *end;
  char *error;
} Reader;

/* A member's value: text (its length kept, for a NUL may be in it), or a number's characters, or neither. */
typedef struct {
  enum { VALUE_TEXT, VALUE_NUMBER, VALUE_OTHER } kind;
  char text[TEXT_MAX];
  size_t length;
} Value;

static bool __attribute__ ((format (printf, 2, 3)))
wrong (char *error, const char *format, ...)
{
  va_list arguments;
  va_start (arguments, format);
  vsnprintf (error, USHER_GUEST_ERROR_SIZE, format, arguments);
  va_end (arguments);
  return false;
}

static void
skip_space (Reader *reader)
{
  while (reader->at < reader->end && memchr (" \t\r\n", *reader->at, 4) != NULL)
    reader->at++;
}

/* Takes `c`, after white space, if it comes next. */
static bool
take (Reader *reader, char c)
{
  skip_space (reader);
  if (reader->at == reader->end || *reader->at != c)
    return false;
  reader->at++;
  return true;
}

static int
digit_value (char c)
{
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool
take_four_digits (Reader *reader, uint32_t *out)
{
  uint32_t code = 0;
  if (reader->end - reader->at < 4)
    return false;
  for (int i = 0; i < 4; i++)
    {
      int digit = digit_value (reader->at[i]);
      if (digit < 0)
        return false;
      code = code << 4 | (uint32_t) digit;
    }
  reader->at += 4;
  *out = code;
  return true;
}

static void
put (Value *value, uint32_t octet)
{
  value->text[value->length++] = (char) octet;
}

static void
put_utf8 (Value *value, uint32_t code)
{
  if (code < 0x80)
    put (value, code);
  else if (code < 0x800)
    {
      put (value, 0xc0 | code >> 6);
      put (value, 0x80 | (code & 0x3f));
    }
  else
    {
      put (value, code < 0x10000 ? 0xe0 | code >> 12 : 0xf0 | code >> 18);
      if (code >= 0x10000)
        put (value, 0x80 | (code >> 12 & 0x3f));
      put (value, 0x80 | (code >> 6 & 0x3f));
      put (value, 0x80 | (code & 0x3f));
    }
}

/* What follows a backslash; "\ud83d\ude00" is one character. */
static bool
take_escape (Reader *reader, Value *value)
{
  static const char names[] = "\"\\/bfnrt", octets[] = "\"\\/\b\f\n\r\t";
  if (reader->at == reader->end)
    return false;
  char c = *reader->at++;
  const char *found = c != '\0' ? strchr (names, c) : NULL;
  if (found != NULL)
    {
      put (value, (unsigned char) octets[found - names]);
      return true;
    }
  uint32_t code = 0, low = 0;
  if (c != 'u' || !take_four_digits (reader, &code) || (code >= 0xdc00 && code < 0xe000))
    return false;
  if (code >= 0xd800 && code < 0xdc00)
    {
      if (reader->end - reader->at < 6 || reader->at[0] != '\\' || reader->at[1] != 'u')
        return false;
      reader->at += 2;
      if (!take_four_digits (reader, &low) || low < 0xdc00 || low >= 0xe000)
        return false;
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
  put_utf8 (value, code);
  return true;
}

/* A text, its opening quote taken. */
static bool
take_text (Reader *reader, Value *value)
{
  value->kind = VALUE_TEXT;
  value->length = 0;
  while (reader->at < reader->end && value->length + 5 < TEXT_MAX)
    {
      char c = *reader->at++;
      if (c == '"')
        {
          value->text[value->length] = '\0';
          return true;
        }
      if (c == '\\' ? !take_escape (reader, value) : (unsigned char) c < 0x20)
        return false;
      if (c != '\\')
        put (value, (unsigned char) c);
    }
  return false;
}

static bool
take_word (Reader *reader, Value *value)
{
  static const char *const words[] = { "true", "false", "null", NULL };
  value->length = 0;
  while (reader->at < reader->end && value->length + 1 < TEXT_MAX && memchr (",} \t\r\n", *reader->at, 6) == NULL)
    put (value, (unsigned char) *reader->at++);
  value->text[value->length] = '\0';
  for (int i = 0; words[i] != NULL; i++)
    if (strcmp (value->text, words[i]) == 0)
      {
        value->kind = VALUE_OTHER;
        return true;
      }
  value->kind = VALUE_NUMBER;
  return value->length > 0 && value->length == strspn (value->text, "0123456789+-.eE");
}

static bool
take_value (Reader *reader, Value *value)
{
  return take (reader, '"') ? take_text (reader, value) : take_word (reader, value);
}

/* ---- the members ---- */

static bool
read_hostname (UsherGuestDocument *document, const Value *value, char *error)
{
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-";
  size_t length = strspn (value->text, letters);
  if (value->kind != VALUE_TEXT || length != value->length || length == 0 || length > 63 || value->text[0] == '-'
      || value->text[length - 1] == '-')
    return wrong (error, "hostname: must be 1 to 63 letters, digits and '-', none of the latter at an end");
  memcpy (document->hostname, value->text, length + 1);
  return true;
}

static bool
read_machine_id (UsherGuestDocument *document, const Value *value, char *error)
{
  if (value->kind != VALUE_TEXT || value->length != 32 || strspn (value->text, "0123456789abcdef") != 32
      || strspn (value->text, "0") == 32)
    return wrong (error, "machine_id: must be 32 lower-case hexadecimal digits, not all zero");
  memcpy (document->machine_id, value->text, 33);
  return true;
}

static bool
read_user (UsherGuestDocument *document, const Value *value, char *error)
{
  bool good = value->kind == VALUE_TEXT && value->length < sizeof document->user;
  for (size_t i = 0; good && i < value->length; i++)
    good = (unsigned char) value->text[i] >= 0x20 && value->text[i] != 0x7f;
  if (!good)
    return wrong (error, "user: must be a text of at most %zu octets without control characters",
                  sizeof document->user - 1);
  memcpy (document->user, value->text, value->length + 1);
  return true;
}

static bool
read_time (UsherGuestDocument *document, const Value *value, char *error)
{
  char *rest = NULL;
  double seconds = value->kind == VALUE_NUMBER ? strtod (value->text, &rest) : 0;
  if (value->kind != VALUE_NUMBER || *rest != '\0' || !(seconds >= 1e9 && seconds < 1e10))
    return wrong (error, "time: must be Unix seconds, from 2001 on");
  document->time.tv_sec = (time_t) seconds;
  document->time.tv_nsec = (long) ((seconds - (double) document->time.tv_sec) * 1e9);
  return true;
}

static bool
read_seed (UsherGuestDocument *document, const Value *value, char *error)
{
  size_t length = 0;
  if (value->kind != VALUE_TEXT
      || sodium_base642bin (document->seed, sizeof document->seed, value->text, value->length, NULL, &length, NULL,
                            sodium_base64_VARIANT_ORIGINAL) != 0
      || length != sizeof document->seed)
    return wrong (error, "seed: must be base64 of %d octets", USHER_GUEST_SEED_SIZE);
  return true;
}

enum { USER = 2 };
static const struct {
  const char *name;
  bool (*read) (UsherGuestDocument *document, const Value *value, char *error);
} members[] = {
  { "hostname", read_hostname }, { "machine_id", read_machine_id }, [USER] = { "user", read_user },
  { "time", read_time },         { "seed", read_seed },
};
#define N_MEMBERS (sizeof members / sizeof members[0])

/* One «"name": value», whose name was not `seen` before. */
static bool
read_member (Reader *reader, UsherGuestDocument *document, bool seen[N_MEMBERS])
{
  Value name, value;
  if (!take (reader, '"') || !take_text (reader, &name) || !take (reader, ':'))
    return wrong (reader->error, "not a JSON object: a member's name is expected");
  if (strlen (name.text) != name.length)
    return wrong (reader->error, "not a JSON object: a member's name with a NUL in it");
  if (!take_value (reader, &value))
    return wrong (reader->error, "%.60s: must be a text of at most %d octets or a number", name.text, TEXT_MAX - 6);
  for (size_t i = 0; i < N_MEMBERS; i++)
    if (strcmp (members[i].name, name.text) == 0)
      {
        if (seen[i])
          return wrong (reader->error, "%s: is there twice", members[i].name);
        seen[i] = true;
        return members[i].read (document, &value, reader->error);
      }
  return true;
}

bool
usher_guest_document_parse (const char *text, size_t length, UsherGuestDocument *out, char error[USHER_GUEST_ERROR_SIZE])
{
  Reader reader = { text, text + length, error };
  bool seen[N_MEMBERS] = { false };
  memset (out, 0, sizeof *out);
  if (!take (&reader, '{'))
    return wrong (error, "not a JSON object");
  if (!take (&reader, '}'))
    {
      do
        if (!read_member (&reader, out, seen))
          return false;
      while (take (&reader, ','));
      if (!take (&reader, '}'))
        return wrong (error, "not a JSON object: ',' or '}' is expected");
    }
  skip_space (&reader);
  if (reader.at != reader.end)
    return wrong (error, "something follows the JSON object");
  size_t there = 0;
  for (size_t i = 0; i < N_MEMBERS; i++)
    there += seen[i];
  out->user_only = there == 1 && seen[USER];
  for (size_t i = 0; i < N_MEMBERS && !out->user_only; i++)
    if (!seen[i])
      return wrong (error, "%s: is missing", members[i].name);
  return true;
}
