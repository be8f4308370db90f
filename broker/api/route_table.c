/* Every route of the broker. docs/openapi.yaml describes the same ones; a test compares the two. */
#include "broker/api/handlers.h"
#include "broker/api/route.h"

#define ROUTE(listener, method, pattern, caller, begin, step, body) \
  { USHER_LISTENER_##listener, method, pattern, USHER_CALLER_##caller, begin, step, USHER_BODY_##body }
#define API(method, pattern, caller, begin, step) ROUTE (API, method, pattern, caller, begin, step, JSON)
#define API_OCTETS(method, pattern, caller, begin) ROUTE (API, method, pattern, caller, begin, NULL, OCTETS)
#define HOST(method, pattern, begin, step) ROUTE (HOST, method, pattern, HOST, begin, step, JSON)
#define GATEWAY(method, pattern, step) ROUTE (GATEWAY, method, pattern, ANYONE, NULL, step, JSON)

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
  API ("POST", "/api/v1/templates/{name}/uploads", ADMIN, usher_uploads_begin, NULL),
  API_OCTETS ("PUT", "/api/v1/templates/uploads/{id}/{file}", ADMIN, usher_uploads_piece_begin),
  API ("POST", "/api/v1/templates/uploads/{id}/finish", ADMIN, NULL, usher_uploads_finish_step),
  API ("DELETE", "/api/v1/templates/uploads/{id}", ADMIN, usher_uploads_drop_begin, NULL),
  API ("POST", "/api/v1/templates/{name}/publish", ADMIN, NULL, usher_versions_publish_step),
  API ("POST", "/api/v1/templates/{name}/rollback", ADMIN, NULL, usher_versions_rollback_step),
  API ("POST", "/api/v1/templates/{name}/retire", ADMIN, NULL, usher_versions_retire_step),
  API ("GET", "/api/v1/templates/{name}/versions/{version}/files/{file}", ADMIN, usher_downloads_begin, NULL),
  API ("POST", "/api/v1/hosts/join", ANYONE, NULL, usher_hosts_join_step),
  GATEWAY ("POST", "/gateway/v1/redeem", usher_gateway_redeem_step),
  GATEWAY ("POST", "/gateway/v1/sessions/{id}/events", usher_gateway_event_step),
  HOST ("POST", "/host/v1/sync", NULL, usher_hosts_sync_step),
  HOST ("GET", "/host/v1/images/{name}/{version}/{file}", usher_downloads_begin, NULL),
  API ("GET", "/{path...}", ANYONE, usher_static_begin, NULL),
  { .method = NULL },
};
