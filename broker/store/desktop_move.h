/* Inside of broker/store/: the one function that moves a desktop, and the one that moves a session, along the
 * tables of policies/. It writes history and log. In the caller's transaction. */
#pragma once
#include "broker/store/store.h"
#include "policies/desktop_state.h"
#include "policies/session_state.h"

typedef struct {
  const char *id;
  UsherDesktopState from, to;
  const char *owner, *host; /* ids to set with it; NULL: as they are */
  const char *rule;         /* a short word for history */
  const char *message;      /* for a person: becomes the desktop's reason */
} UsherDesktopMove;

/* INTERNAL when the table has no such move, CONFLICT when the desktop is not in `from` any more. */
gboolean usher_desktop_move (UsherStore *store, const UsherDesktopMove *move, GError **error);

/* Moves a desktop to draining from whatever live state it is in; one that drains already is fine. */
gboolean usher_desktop_drain (UsherStore *store, const char *id, const char *rule, const char *message, GError **error);

/* As usher_desktop_move(), for a session. */
gboolean usher_session_move (UsherStore *store, const char *id, UsherSessionState from, UsherSessionState to,
                             const char *rule, const char *message, GError **error);
