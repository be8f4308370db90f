/* `usher-hostd join`: a host becomes one of a deployment, by a one-time token. docs/protocols.md, "Host joins".
 *
 * The token is SECRET.SHA256-OF-CA-PEM, handed over by the administrator: the hash says whom to trust before
 * anything is known of the deployment. Three ways to use it, best first:
 *
 *   --ca FILE given        its hash must be the token's; TLS is verified against it from the start
 *   the server's chain     holds a certificate of that hash: TLS is verified against it during the handshake
 *   neither                the handshake is let pass, and the very certificate that was presented is verified against
 *                          the CA in the answer, whose hash must be the token's, before anything is kept
 *
 * In the last way a man in the middle can see the token. He cannot make this host join him, nor use the token unseen:
 * it is good once, and he has no certificate of that CA for our key, so the join fails here and says that the
 * token must be regarded as stolen. */
#pragma once
#include "common/secret.h"
#include "common/settings.h"

typedef struct {
  const char *broker;       /* https://GATEWAY:PORT */
  const UsherSecret *token;
  const char *ca;           /* file; NULL: by the token's hash alone */
} UsherJoin;

/* Writes key, certificate, CA, grant key and, last, host.json where `settings` name them, each by rename: either the
 * host has joined or it has not. Nothing is sent when it has joined already: *out_already. Blocks. */
gboolean usher_join (const UsherSettings *settings, const UsherJoin *join, gboolean *out_already, GError **error);

/* The hash part of a token; borrowed, NULL when the token is malformed. */
const char *usher_join_token_hash (const char *token);
