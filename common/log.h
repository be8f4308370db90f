/* Structured logging: one JSON object a line on standard error (or plain text on a terminal), with the
 * same field names everywhere. Levels as syslog's. Never pass a secret: UsherSecret has no way in. */
#pragma once
#include <glib.h>

typedef enum { USHER_LOG_ERROR, USHER_LOG_WARNING, USHER_LOG_NOTICE, USHER_LOG_INFO, USHER_LOG_DEBUG } UsherLogLevel;

/* What a line is about; any member may be NULL. Borrowed for the call. */
typedef struct {
  const char *request, *session, *desktop, *host, *user, *pool, *address;
} UsherLogContext;

/* Call once, first thing in main. `program` is the daemon's name. Lines below `level` are dropped;
 * GLib's and libsoup's own messages come the same way. Text on a terminal, JSON otherwise. */
void usher_log_init (const char *program, UsherLogLevel level);

/* "error" … "debug" → level; FALSE when it is none of them. */
gboolean usher_log_level_parse (const char *text, UsherLogLevel *out);

/* Thread-safe. `context` may be NULL. Control characters of the message are escaped. */
void usher_log (UsherLogLevel level, const UsherLogContext *context, const char *format, ...) G_GNUC_PRINTF (3, 4);
