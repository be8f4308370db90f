/* The broker's HTTP interfaces: three listeners, one table of routes (route.h), one GLib main loop.
 *
 *     api socket      people, administrators, the portal's files, host joins; relayed by gateways
 *     gateway socket  gateways: redeem, session events
 *     host port       hosts, by mutual TLS: sync
 *
 * Handlers parse on the main loop; what blocks runs on the two worker pools. All functions: main loop. */
#pragma once
#include "broker/api/static_files.h"
#include "broker/images/service.h"
#include "common/pki.h"
#include "common/rpc/grant.h"
#include "common/settings.h"
#include "common/workers.h"

typedef struct _UsherApi UsherApi;

/* What the interfaces stand on; all borrowed and outliving the UsherApi. */
typedef struct {
  const UsherSettings *settings;
  UsherWorkers *store_workers;     /* their state is a UsherStore */
  UsherWorkers *directory_workers; /* their state is a UsherDirectory */
  UsherImageService *images;
  const UsherCa *ca;
  const UsherStaticFiles *files;
  const unsigned char *grant_secret; /* USHER_GRANT_SECRET_KEY_SIZE bytes */
  const char *grant_public;          /* one line of base64url, for hosts that join */
} UsherApiParts;

/* INVALID names the setting that is wrong. */
UsherApi *usher_api_new (const UsherApiParts *parts, GError **error);

/* Opens the three listeners. UNAVAILABLE or INVALID names the address and why. */
gboolean usher_api_listen (UsherApi *api, GError **error);

/* Whether the database has our schema: until then all but files and health are answered "unavailable". */
void usher_api_set_ready (UsherApi *api, gboolean ready);

/* Something of the set `kinds` (broker/store/kind.h) changed in the store: lets waiting calls look again. */
void usher_api_notify (UsherApi *api, guint kinds);

/* Stops taking requests, lets waiting calls answer and running ones end; `drained` runs once none is left. */
void usher_api_drain (UsherApi *api, GSourceFunc drained, gpointer user_data);

void usher_api_free (UsherApi *api);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherApi, usher_api_free)
