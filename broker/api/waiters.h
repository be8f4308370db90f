/* Calls that wait for something to change: long polls of people, administrators, hosts, and a redeem
 * that waits for its host. One LISTEN connection (broker/store) feeds them all.
 *
 * A call looks, finds nothing, parks; a change of one of its topics, or its deadline, lets it look again.
 * A change that came while it looked is not lost: topics carry the number of their last change. Main loop only. */
#pragma once
#include "broker/api/call.h"

typedef struct _UsherWaiters UsherWaiters;

/* `wake` lets a call look again; it owns the reference it is given. Once the look is over usher_waiters_looked()
 * must be called, in it or later. */
typedef void (*UsherWaitersWake) (UsherCall *call);

/* At most `limit` calls are parked at a time. Calls are woken at most every `gather_ms`, so that a burst of changes costs each
 * call two looks. Of those woken `lanes` look at a time, so that thousands of
 * them leave room for new requests. */
UsherWaiters *usher_waiters_new (guint limit, guint gather_ms, guint lanes, UsherWaitersWake wake);

/* The look of a woken call is over. */
void usher_waiters_looked (UsherWaiters *waiters);

/* The number of the newest change of any topic. */
guint64 usher_waiters_now (const UsherWaiters *waiters);

/* Parks `call` (takes a reference) until one of `topics` changes after number `seen`, or until `until_us`
 * (monotonic). An urgent one looks before the others. FALSE with BUSY when too many are parked. */
gboolean usher_waiters_park (UsherWaiters *waiters, UsherCall *call, guint topics, guint64 seen, gint64 until_us,
                             gboolean urgent, GError **error);

/* Something of `topics` changed. ~0u after a gap in the notifications. */
void usher_waiters_notify (UsherWaiters *waiters, guint topics);

/* Wakes all, now and from now on at once: for the end. */
void usher_waiters_release (UsherWaiters *waiters);

guint usher_waiters_get_parked (const UsherWaiters *waiters);

void usher_waiters_free (UsherWaiters *waiters);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherWaiters, usher_waiters_free)
