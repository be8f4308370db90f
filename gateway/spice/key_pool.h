/* RSA keys made ahead on a thread of their own: each link takes one and it is never used again. */
#pragma once
#include "common/relay/link_key.h"

typedef struct _UsherKeyPool UsherKeyPool;

/* Keeps up to `wanted` keys; making the first takes a moment. */
UsherKeyPool *usher_key_pool_new (guint wanted);

/* A fresh key, or NULL when none is ready (try again shortly). Never blocks. */
UsherLinkKey *usher_key_pool_take (UsherKeyPool *pool);

void usher_key_pool_free (UsherKeyPool *pool);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherKeyPool, usher_key_pool_free)
