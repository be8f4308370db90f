/* Every route of the broker. docs/openapi.yaml describes the same ones; a test compares the two. */
#include "broker/api/handlers.h"
#include "broker/api/route.h"

#define API(method, pattern, caller, begin, step) { USHER_LISTENER_API, method, pattern, USHER_CALLER_##caller, begin, step }
#define HOST(method, pattern, step) { USHER_LISTENER_HOST, method, pattern, USHER_CALLER_HOST, NULL, step }
#define GATEWAY(method, pattern, step) { USHER_LISTENER_GATEWAY, method, pattern, USHER_CALLER_ANYONE, NULL, step }

const UsherRoute usher_routes[] = {
  API ("GET", "/api/v1/health", ANYONE, usher_health_begin, NULL),
  API ("POST", "/api/v1/signin", ANYONE, usher_signin_begin, NULL),
  API ("POST", "/api/v1/signout", ANYONE, NULL, usher_signout_step),
  API ("GET", "/api/v1/me", PERSON, NULL, usher_me_step),
  API ("GET", "/api/v1/pools", PERSON, NULL, usher_people_pools_step),
  API ("POST", "/api/v1/pools/{name}/connect", PERSON, NULL, usher_connect_step),
  API ("GET", "/api/v1/pools/{name}/connect.vv", PERSON, NULL, usher_connect_file_step),
  API ("GET", "/api/v1/desktops", PERSON, NULL, usher_people_desktops_step),
  API ("POST", "/api/v1/desktops/{id}/restart", PERSON, NULL, usher_people_restart_step),
  API ("GET", "/api/v1/records/{kind}", ADMIN, NULL, usher_records_list_step),
  API ("GET", "/api/v1/records/{kind}/{name}", ADMIN, NULL, usher_records_get_step),
  API ("PUT", "/api/v1/records/{kind}/{name}", ADMIN, NULL, usher_records_apply_step),
  API ("DELETE", "/api/v1/records/{kind}/{name}", ADMIN, NULL, usher_records_delete_step),
  API ("POST", "/api/v1/records/host/{name}/token", ADMIN, NULL, usher_hosts_token_step),
  API ("POST", "/api/v1/records/desktop/{name}/refresh", ADMIN, NULL, usher_records_refresh_step),
  API ("GET", "/api/v1/why/{id}", ADMIN, NULL, usher_records_why_step),
  API ("POST", "/api/v1/hosts/join", ANYONE, NULL, usher_hosts_join_step),
  GATEWAY ("POST", "/gateway/v1/redeem", usher_gateway_redeem_step),
  GATEWAY ("POST", "/gateway/v1/sessions/{id}/events", usher_gateway_event_step),
  HOST ("POST", "/host/v1/sync", usher_hosts_sync_step),
  API ("GET", "/{path...}", ANYONE, usher_static_begin, NULL),
  { .method = NULL },
};
