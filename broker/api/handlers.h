/* The handlers of the route table, by subject; each in the file named above it. `_begin` runs on the main loop,
 * `_step` on a store worker (see route.h). Documents: docs/protocols.md and docs/openapi.yaml. */
#pragma once
#include "broker/api/call.h"

/* static.c: the portal's files */
gboolean usher_static_begin (UsherCall *call, GError **error);

/* health.c */
gboolean usher_health_begin (UsherCall *call, GError **error);

/* signin.c */
gboolean usher_signin_begin (UsherCall *call, GError **error);
gboolean usher_signout_step (UsherCall *call, UsherStore *store, GError **error);
gboolean usher_me_step (UsherCall *call, UsherStore *store, GError **error);

/* people.c */
gboolean usher_people_pools_step (UsherCall *call, UsherStore *store, GError **error);
gboolean usher_people_desktops_step (UsherCall *call, UsherStore *store, GError **error);
gboolean usher_people_restart_step (UsherCall *call, UsherStore *store, GError **error);

/* connect.c */
gboolean usher_connect_step (UsherCall *call, UsherStore *store, GError **error);
gboolean usher_connect_file_step (UsherCall *call, UsherStore *store, GError **error);

/* records.c */
gboolean usher_records_list_step (UsherCall *call, UsherStore *store, GError **error);
gboolean usher_records_get_step (UsherCall *call, UsherStore *store, GError **error);
gboolean usher_records_apply_step (UsherCall *call, UsherStore *store, GError **error);
gboolean usher_records_delete_step (UsherCall *call, UsherStore *store, GError **error);
gboolean usher_records_refresh_step (UsherCall *call, UsherStore *store, GError **error);
gboolean usher_records_why_step (UsherCall *call, UsherStore *store, GError **error);

/* uploads.c */
gboolean usher_uploads_begin (UsherCall *call, GError **error);
gboolean usher_uploads_piece_begin (UsherCall *call, GError **error);
gboolean usher_uploads_finish_step (UsherCall *call, UsherStore *store, GError **error);
gboolean usher_uploads_drop_begin (UsherCall *call, GError **error);

/* versions.c */
gboolean usher_versions_publish_step (UsherCall *call, UsherStore *store, GError **error);
gboolean usher_versions_rollback_step (UsherCall *call, UsherStore *store, GError **error);
gboolean usher_versions_retire_step (UsherCall *call, UsherStore *store, GError **error);

/* downloads.c */
gboolean usher_downloads_begin (UsherCall *call, GError **error);

/* hosts.c */
gboolean usher_hosts_token_step (UsherCall *call, UsherStore *store, GError **error);
gboolean usher_hosts_join_step (UsherCall *call, UsherStore *store, GError **error);
gboolean usher_hosts_sync_step (UsherCall *call, UsherStore *store, GError **error);

/* gateway.c */
gboolean usher_gateway_redeem_step (UsherCall *call, UsherStore *store, GError **error);
gboolean usher_gateway_event_step (UsherCall *call, UsherStore *store, GError **error);
