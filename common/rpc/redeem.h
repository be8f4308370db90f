/* Redeeming a ticket: the call of the gateway to the broker, `POST /gateway/v1/redeem` on the broker's
 * gateway socket, and the session events that follow, `POST /gateway/v1/sessions/{id}/events`. */
#pragma once
#include <glib.h>
#include <jansson.h>
#include "common/id.h"
#include "common/rpc/grant.h"
#include "common/secret.h"

typedef struct {
  char *ticket;         /* 43 characters */
  char *gateway;        /* this gateway's name */
  char *client_address; /* as the gateway saw it */
  char *carrier;        /* "tls" | "websocket" */
} UsherRedeemRequest;

typedef struct {
  char session[USHER_ID_SIZE];
  char desktop[USHER_ID_SIZE];
  char *user;
  UsherService service;
  char *door;           /* unix:/PATH or HOST:PORT */
  char *grant;          /* sealed, good for some minutes */
  UsherSecret *secret;  /* the VM's password for this service */
} UsherRedeemAnswer;

typedef enum { USHER_SESSION_EVENT_ACTIVE, USHER_SESSION_EVENT_DISCONNECTED } UsherSessionEventKind;

typedef struct {
  UsherSessionEventKind kind;
  char *gateway;
  char *reason;          /* of a disconnect: "client closed", "desktop closed", "gateway draining", … */
  gint64 bytes_to_client, bytes_to_desktop;
} UsherSessionEvent;

json_t *usher_redeem_request_to_json (const UsherRedeemRequest *request);
UsherRedeemRequest *usher_redeem_request_from_json (const json_t *json, GError **error);
json_t *usher_redeem_answer_to_json (const UsherRedeemAnswer *answer);
UsherRedeemAnswer *usher_redeem_answer_from_json (const json_t *json, GError **error);
json_t *usher_session_event_to_json (const UsherSessionEvent *event);
UsherSessionEvent *usher_session_event_from_json (const json_t *json, GError **error);
void usher_redeem_request_free (UsherRedeemRequest *request);
void usher_redeem_answer_free (UsherRedeemAnswer *answer);
void usher_session_event_free (UsherSessionEvent *event);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherRedeemRequest, usher_redeem_request_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherRedeemAnswer, usher_redeem_answer_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherSessionEvent, usher_session_event_free)
