#include "broker/api/error_body.h"
#include "common/error.h"

/* Messages may quote what came from outside; Jansson takes UTF-8 only. */
static json_t *
text (const char *message)
{
  g_autofree char *valid = g_utf8_make_valid (message, -1);
  return json_string (valid);
}

json_t *
usher_error_body (const GError *error, const json_t *reasons, const char *request)
{
  UsherError code = usher_error_code (error);
  const char *message = code == USHER_ERROR_INTERNAL ? "a defect of the broker; its log has this request's id" : error->message;
  json_t *list = reasons != NULL ? json_deep_copy (reasons) : json_array ();
  return json_pack ("{s:{s:s, s:o, s:o, s:s}}", "error", "code", usher_error_name (code), "message", text (message),
                    "reasons", list, "request", request);
}
