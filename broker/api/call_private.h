/* Inside of a call: for call.c, call_answer.c, call_flow.c and server.c alone. */
#pragma once
#include <libsoup/soup.h>
#include "broker/api/call.h"

struct _UsherCall {
  gatomicrefcount refs;
  UsherApi *api;
  SoupServerMessage *message; /* main loop only */
  gboolean head;              /* a HEAD: no body goes out */
  gint64 began_us;            /* monotonic */
  /* the request */
  const UsherRoute *route;
  char **params;
  GHashTable *query; /* may be NULL */
  json_t *body;
  GBytes *octets; /* of a route that takes them */
  char *request, *client;
  char token[USHER_TOKEN_SIZE];
  gboolean has_token;
  char *peer_pem; /* HOST routes: the certificate it showed */
  /* who */
  UsherSignedIn *signed_in;
  char host[USHER_ID_SIZE];
  gboolean authorised, admin;
  /* going on */
  UsherStep step;
  UsherBegin next;
  guint wait_topics;
  gint64 wait_until_us; /* monotonic; 0: never waited */
  gboolean last_look, looking; /* looking: woken, and not parked or answered again */
  guint64 seen; /* the waiters' count when the step began */
  gpointer data;
  GDestroyNotify free_data;
  /* the answer */
  gboolean answered, finished;
  guint status;
  const char *type;
  GBytes *bytes;
  json_t *reasons; /* may be NULL */
  GPtrArray *headers; /* name, value, name, value …; may be NULL */
  guint retry_after_s;
  const char *audit_action; /* NULL: a refusal is not audited here */
  guint refusal_floor_ms;
  gulong hang_up; /* handler of "disconnected", which holds a reference until the call ended */
  gboolean gone; /* the client hung up: nothing may be sent */
};

/* The headers that every answer carries, and those that were set for it; the log line (call_answer.c). */
void usher_call_send_head (UsherCall *call, const GError *error);

/* A call for `message`; the route is not known yet. Main loop. */
UsherCall *usher_call_new (UsherApi *api, UsherListener listener, SoupServerMessage *message);
