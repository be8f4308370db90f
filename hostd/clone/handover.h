/* How the golden RAM comes to a QEMU: what hostd and usher-emulator agree on. No GLib: the emulator has none.
 *
 *     emulator ── "UUID TICKET" ──► hostd     one packet each way over a unix socket (SOCK_SEQPACKET)
 *              ◄── "ok" + memfd ───           or why not, in words, without a descriptor */
#pragma once

#define USHER_HANDOVER_FD 200 /* the number the memfd has in QEMU */
#define USHER_HANDOVER_MEM_PATH "/proc/self/fd/200"
#define USHER_HANDOVER_SOCKET_ENV "USHER_GOLDEN_SOCKET"
#define USHER_HANDOVER_TICKET_ENV "USHER_GOLDEN_TICKET"
#define USHER_HANDOVER_OK "ok"
#define USHER_HANDOVER_MAX 256 /* bytes of a packet */
#define USHER_HANDOVER_WAIT_S 5
