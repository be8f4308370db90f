/* What the store's tests stand on: a database of their own, people, pools and hosts in it, and a host that says what
 * one tells it. */
#pragma once
#include <glib.h>
#include <jansson.h>
#include <libpq-fe.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "broker/store/audit.h"
#include "broker/store/hosts.h"
#include "broker/store/listener.h"
#include "broker/store/migrate.h"
#include "broker/store/people.h"
#include "broker/store/records.h"
#include "broker/store/sessions.h"
#include "broker/store/sign_in.h"
#include "broker/store/work.h"
#include "common/json.h"
#include "policies/placement.h"
#include "policies/pool_plan.h"

/* From the environment: connection strings of the three roles to a fresh, empty database. */
const char *rig_owner (void);
const char *rig_broker (void);
const char *rig_super (void);

/* A store with a key in a temporary directory; the schema is made on the first call. */
UsherStore *rig_store (void);
extern const UsherActor rig_admin;

/* Runs SQL as `conninfo`; returns the first cell or "" (owned by the caller); fails the test on an error. */
char *rig_sql (const char *conninfo, const char *sql);
gint64 rig_number (const char *sql);
/* The SQLSTATE of the error that the SQL ends with; "" when it is taken. */
char *rig_sqlstate (const char *conninfo, const char *sql);

/* The store's answer must be good. */
#define rig_good(call)                                                                                                 \
  do                                                                                                                   \
    {                                                                                                                  \
      g_autoptr (GError) error = NULL;                                                                                 \
      gboolean good_ = (call) != 0;                                                                                    \
      if (!good_)                                                                                                      \
        fail_msg ("%s: %s", #call, error != NULL ? error->message : "FALSE without an error");                         \
  } while (0)
/* The store's answer must be this error. */
#define rig_refused(call, wanted)                                                                                      \
  do                                                                                                                   \
    {                                                                                                                  \
      g_autoptr (GError) error = NULL;                                                                                 \
      gboolean good_ = (call) != 0;                                                                                    \
      if (good_ || error == NULL || error->domain != USHER_ERROR || error->code != (int) (wanted))                     \
        fail_msg ("%s: not %s but %s: %s", #call, usher_error_name (wanted),                                           \
                  good_ ? "taken" : usher_error_name (usher_error_code (error)), error != NULL ? error->message : ""); \
  } while (0)

/* Applies `spec` (a JSON text; single quotes count as double ones). */
void rig_apply (UsherStore *store, UsherKind kind, const char *name, const char *spec);
/* Template "tiny" 1, pool "office", everybody of group "staff" entitled. */
void rig_pool (UsherStore *store, guint spares, guint maximum);
/* As rig_pool(), with more of the pool's spec: ", 'clone': 'linked'". */
void rig_pool_with (UsherStore *store, guint spares, guint maximum, const char *more);
/* Signs `user` in as a member of `group`; out_person may be NULL. */
void rig_person (UsherStore *store, const char *user, const char *group, char out_person[USHER_ID_SIZE]);
/* A host that joined and reports 8 CPUs, memory and disk for anything; its id. */
void rig_host (UsherStore *store, const char *name, char out_host[USHER_ID_SIZE]);
/* One pass of the controllers' work on pools and placement. */
void rig_work (UsherStore *store);
/* The host does what is wanted: what is to run it reports in `state` with the wanted revisions, what is to be gone as
 * absent. Returns how many desktops it was told of. */
guint rig_obey (UsherStore *store, const char *host, UsherSeenState state);
/* An empty report of a host. */
UsherSyncRequest *rig_report (UsherStore *store);
void rig_report_add (UsherSyncRequest *request, const char *id, UsherSeenState state, const char *reason);

/* Asks whoever started the program to do something with PostgreSQL ("kill", "start"), and waits until it is done. */
void rig_ask (const char *what);

int run_record_tests (const char *name);
int run_flow_tests (const char *name);
int run_race_tests (const char *name);
int run_clone_tests (const char *name);
int run_version_tests (const char *name);
