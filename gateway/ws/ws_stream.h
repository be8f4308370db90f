/* A stream inside WebSocket frames (RFC 6455, the server's end; wslay does the framing).
 *
 * Reading gives the payload of binary frames, whatever their boundaries; pings are answered; a close,
 * or the carrier's end, is the end. Text frames, unmasked frames, reserved bits and extensions are failures. */
#pragma once
#include "common/relay/buffer.h"
#include "common/relay/stream.h"

/* Takes over `carrier`, on which the upgrade was answered. */
UsherStream *usher_ws_stream_new (UsherStream *carrier, UsherPool *pool);

/* The Sec-WebSocket-Accept for a client's Sec-WebSocket-Key; owned by the caller. */
char *usher_ws_accept_key (const char *key);
