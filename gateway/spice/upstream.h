/* The way to a desktop for one channel: its host's door, the greeting, and SPICE's link stage as a client
 * of the desktop, with the desktop's own secret. */
#pragma once
#include "gateway/spice/session.h"

typedef struct _UsherSpiceUpstream UsherSpiceUpstream;

/* Once, on the loop, unless freed before. `stream` is the caller's, right behind the link result;
 * otherwise NULL, with what the client should get and why. */
typedef void (*UsherSpiceUpstreamDone) (UsherStream *stream, UsherSpiceResult result, const char *why, gpointer user_data);

/* Begins. `redeemed` and `link` are read now and until done; both must stay. */
UsherSpiceUpstream *usher_spice_upstream_new (const UsherSpiceContext *context, const UsherRedeemed *redeemed,
                                              const UsherSpiceLink *link, UsherSpiceUpstreamDone done,
                                              gpointer user_data);
void usher_spice_upstream_free (UsherSpiceUpstream *upstream);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherSpiceUpstream, usher_spice_upstream_free)
