/* The host's link to the broker: HTTPS with mutual TLS, by the certificates that join wrote. Blocking and not
 * blocking calls alike; a link belongs to the thread (and its thread-default main context) that made it. */
#pragma once
#include <glib.h>

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

void usher_link_free (UsherLink *link);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherLink, usher_link_free)
