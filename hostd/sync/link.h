/* The host's link to the broker: HTTPS with mutual TLS, by the certificates that join wrote. A link belongs to the thread
 * that made it, and to the main context that was thread-default there. */
#pragma once
#include <gio/gio.h>

/* libsoup's, so that who only fills in a UsherLinkConfig needs not its headers. */
typedef struct _SoupSession SoupSession;
typedef struct _SoupMessage SoupMessage;

/* Borrowed for usher_link_new(). */
typedef struct {
  const char *url;                    /* https://HOST:PORT, paths are ours */
  const char *ca, *certificate, *key; /* files */
} UsherLinkConfig;

typedef struct _UsherLink UsherLink;

/* `timeout_s`: a connection on which nothing moves for so long is given up. INVALID when a file or the URL is no good. */
UsherLink *usher_link_new (const UsherLinkConfig *config, guint timeout_s, GError **error);

/* Borrowed. */
SoupSession *usher_link_get_session (const UsherLink *link);

/* A message to `path` that shows our certificate; owned by the caller. */
SoupMessage *usher_link_message (const UsherLink *link, const char *method, const char *path);

/* For a worker thread with a main context of its own, which they run until the answer or the octets are there. (libsoup's own
 * blocking calls would wait for ever when the broker asks for our certificate: GLib hands that question to the context that they
 * do not run.) Errors are libsoup's and GIO's. */

/* The answer's body, whatever its status; owned by the caller. */
GInputStream *usher_link_send (const UsherLink *link, SoupMessage *message, GCancellable *cancellable, GError **error);

/* Reads until `buffer` is full or the body ends: *out_length octets are there also when it fails. */
gboolean usher_link_read (const UsherLink *link, GInputStream *body, void *buffer, gsize size, gsize *out_length,
                          GCancellable *cancellable, GError **error);

void usher_link_free (UsherLink *link);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherLink, usher_link_free)
