/* RSA keys made ahead on a thread of their own, one for each link. When links come faster than keys can be
 * made, they share the last one: a flood must not keep people waiting, and the exchange is inside TLS. */
#pragma once
#include "common/relay/link_key.h"

typedef struct _UsherKeyPool UsherKeyPool;

/* Keeps up to `wanted` keys; making the first takes a moment. */
UsherKeyPool *usher_key_pool_new (guint wanted);

/* A key, the caller's reference; NULL when not even the first is ready (try again shortly). Never blocks. */
UsherLinkKey *usher_key_pool_take (UsherKeyPool *pool);

void usher_key_pool_free (UsherKeyPool *pool);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherKeyPool, usher_key_pool_free)
