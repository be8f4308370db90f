/* The sign-in that later commands use: $XDG_CONFIG_HOME/usher/session.json, readable by its owner only. */
#pragma once
#include <glib.h>

typedef struct {
  char *server;  /* https://… or unix:/… */
  char *ca_file; /* absolute; NULL: the system's authorities */
  char *user;
  char *token; /* a secret; NULL: signed out, but the server is remembered */
} UsherCtlSession;

/* An empty session (all NULL) when there is no file; INVALID when it is damaged. */
UsherCtlSession *usher_ctl_session_load (GError **error);

/* Writes it at once and whole, mode 0600 in a directory of mode 0700. */
gboolean usher_ctl_session_save (const UsherCtlSession *session, GError **error);

void usher_ctl_session_free (UsherCtlSession *session);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherCtlSession, usher_ctl_session_free)
