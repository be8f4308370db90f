/* The states of a desktop and the moves between them: the only table of its kind.
 *
 *     planned ─► provisioning ─► spare ─► assigned ─► draining ─► gone
 *                     │            └───────┬┘              ▲
 *                     ▼                    ▼               │
 *                   failed ◄──── stopped, suspended ───────┘   (draining from any of them)
 */
#pragma once
#include <glib.h>
#include "common/rpc/sync.h"

typedef enum {
  USHER_DESKTOP_PLANNED,      /* wanted; no host yet */
  USHER_DESKTOP_PROVISIONING, /* placed on a host, never answered yet (or being made again) */
  USHER_DESKTOP_SPARE,        /* answered; nobody's */
  USHER_DESKTOP_ASSIGNED,     /* answered; somebody's */
  USHER_DESKTOP_STOPPED,
  USHER_DESKTOP_SUSPENDED,
  USHER_DESKTOP_FAILED,   /* its host gave up for now; it may come back */
  USHER_DESKTOP_DRAINING, /* to be gone; its host has not said yet that nothing of it is left */
  USHER_DESKTOP_GONE,
} UsherDesktopState;
#define USHER_DESKTOP_STATES (USHER_DESKTOP_GONE + 1)

/* "planned" … "gone"; static. */
const char *usher_desktop_state_name (UsherDesktopState state);
/* FALSE when `name` is none of them (or NULL). */
gboolean usher_desktop_state_parse (const char *name, UsherDesktopState *out);

/* Whether the table has a move from one to the other. Staying is no move: FALSE. */
gboolean usher_desktop_state_may_move (UsherDesktopState from, UsherDesktopState to);

/* Where a desktop in `state` goes when its host says `seen`: `state` itself when nothing follows. What comes out
 * is always a move of the table. `owned`: it belongs to somebody. */
UsherDesktopState usher_desktop_state_after (UsherDesktopState state, gboolean owned, UsherSeenState seen);

/* Whether it is or may become of use to somebody: all but draining and gone. */
gboolean usher_desktop_state_is_live (UsherDesktopState state);
