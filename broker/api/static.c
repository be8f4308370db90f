#include "broker/api/handlers.h"
#include "broker/api/api_private.h"
#include "broker/api/call_private.h"
#include "common/error.h"

gboolean
usher_static_begin (UsherCall *call, GError **error)
{
  g_autofree char *path = g_strconcat ("/", usher_call_get_param (call, 0), NULL);
  const UsherStaticFile *file = usher_static_files_find (call->api->parts.files, path);
  if (file == NULL) {
    g_set_error (error, USHER_ERROR, USHER_ERROR_MISSING, "there is no such page");
    return FALSE;
  }
  SoupMessageHeaders *headers = soup_server_message_get_request_headers (call->message);
  usher_call_set_header (call, "ETag", file->etag);
  usher_call_set_header (call, "Cache-Control", "no-cache"); /* kept, and asked about each time */
  if (usher_etag_matches (soup_message_headers_get_list (headers, "If-None-Match"), file->etag))
    usher_call_answer_empty (call, SOUP_STATUS_NOT_MODIFIED);
  else
    usher_call_answer_bytes (call, SOUP_STATUS_OK, file->type, g_bytes_ref (file->bytes));
  usher_call_finish (call, NULL);
  return TRUE;
}
