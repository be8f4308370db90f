/* Who this host is: what `usher-hostd join` learnt, host.json. */
#pragma once
#include <glib.h>
#include "common/id.h"

typedef struct {
  char host[USHER_ID_SIZE];
  char *deployment; /* hostd obeys nothing from another */
  char *sync_url;   /* https://… */
} UsherHostIdentity;

/* MISSING when this host has not joined. */
UsherHostIdentity *usher_host_identity_read (const char *path, GError **error);

/* By rename; readable by all: it holds no secret. */
gboolean usher_host_identity_write (const UsherHostIdentity *identity, const char *path, GError **error);

void usher_host_identity_free (UsherHostIdentity *identity);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherHostIdentity, usher_host_identity_free)
