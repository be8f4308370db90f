/* Moves bytes between two streams, both ways, until both have ended or one has failed.
 *
 * Each direction has one bounded buffer: while it is full its source is not read (back-pressure). When
 * a source ends, what is held goes out and then its sink is finished, the other direction goes on. */
#pragma once
#include <glib.h>
#include "common/relay/buffer.h"
#include "common/relay/loop.h"
#include "common/relay/stream.h"

typedef struct _UsherRelay UsherRelay;

typedef enum {
  USHER_RELAY_ENDED,    /* both sides finished in order */
  USHER_RELAY_A_FAILED, /* or vanished */
  USHER_RELAY_B_FAILED,
  USHER_RELAY_IDLE,     /* nothing moved for idle_ms */
  USHER_RELAY_LINGERED, /* one side ended, the other did not follow in half_closed_ms */
} UsherRelayEnd;

const char *usher_relay_end_name (UsherRelayEnd end);

/* Called once, from the loop; the relay may be freed in it. `a_ended_first`: which side began the end. */
typedef void (*UsherRelayDone) (UsherRelayEnd end, gboolean a_ended_first, gpointer user_data);

typedef struct {
  guint idle_ms;        /* 0: no limit */
  guint half_closed_ms; /* 0: no limit */
} UsherRelayLimits;

/* Owns neither stream but takes their ready callbacks. Starts in the next turn of the loop. */
UsherRelay *usher_relay_new (UsherLoop *loop, UsherPool *pool, UsherStream *a, UsherStream *b,
                             const UsherRelayLimits *limits, UsherRelayDone done, gpointer user_data);

/* Payload moved so far. */
guint64 usher_relay_bytes_to_a (const UsherRelay *relay);
guint64 usher_relay_bytes_to_b (const UsherRelay *relay);

/* Leaves the streams to their owner, with no ready callback. */
void usher_relay_free (UsherRelay *relay);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherRelay, usher_relay_free)
