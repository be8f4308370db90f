/* Inside of the HTTP interfaces: for broker/api/ alone. */
#pragma once
#include <libsoup/soup.h>
#include "broker/api/api.h"
#include "broker/api/call.h"
#include "broker/api/waiters.h"

struct _UsherApi {
  UsherApiParts parts;
  SoupServer *servers[3]; /* by UsherListener */
  UsherWaiters *waiters;
  char *content_security_policy;
  char *public_origin;
  char *gateway_host; /* of public_url: where native clients go */
  guint gateway_port;
  char *gateway_ca;      /* PEM for viewer files; NULL: the system's trust */
  char *gateway_subject; /* of the gateway's certificate; NULL: not checked */
  guint calls;           /* between head and answer */
  gboolean draining;
  GSourceFunc drained;
  gpointer drained_data;
  gboolean ready; /* the database has our schema */
  struct UsherHealth *health; /* health.c */
  double audit_allowance; /* refusals of strangers that may still be audited; see refusals.c */
  gint64 audit_allowance_at_us;
};

/* A call ended (answered, or its client is gone): audits a refusal, counts it out. */
void usher_api_call_ended (UsherApi *api, UsherCall *call, const GError *error);

/* The waiters' wake function. */
void usher_call_wake (UsherCall *call);

/* Audits a refused request, within an allowance for strangers (refusals.c). */
void usher_refusals_note (UsherApi *api, UsherCall *call, const GError *error);

/* What the broker stands on, as last seen (health.c). */
struct UsherHealth *usher_health_new (void);
void usher_health_free (struct UsherHealth *health);
