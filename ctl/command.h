/* One table of commands: what they are called, take, and do. It parses the command line and prints --help, the
 * completion scripts are made from it too. */
#pragma once
#include "ctl/client.h"
#include "ctl/output.h"
#include "ctl/session.h"

/* Every option of every command; NULL or 0 when not given. */
typedef struct {
  char *server, *ca_file, *output_text;
  char *file, *password_file, *vv_file, *client;
  int timeout_s, limit;
  /* of template commands */
  char *name, *kernel, *initrd, *cmdline, *guest, *firmware, *ready, *note, *manifest, *cache;
  int vcpus, ram_mib;
  gboolean publish, rebuild;
} UsherCtlOptions;

typedef struct {
  UsherCtlOptions options;
  UsherOutput output;
  gboolean output_given;
  UsherCtlSession *session;
  UsherClient *client; /* NULL for a command without UsherCommand.connects */
  char **words;        /* the arguments, NULL-terminated */
  guint count;
} UsherCtl;

typedef struct {
  const char *name, *arguments; /* "get", "KIND [NAME]"; a name may have two words */
  const char *summary;          /* one line */
  const char *details;          /* more of the help; may be NULL */
  guint least, most;            /* arguments */
  const char *options;          /* the names of its options besides the common ones, separated by blanks */
  gboolean connects;
  gboolean (*run) (UsherCtl *ctl, GError **error);
} UsherCommand;

/* Ends with an entry whose name is NULL. */
extern const UsherCommand usher_commands[];

/* An error of the command line, exit status 2. */
gboolean usher_ctl_misuse (GError **error, const char *format, ...) G_GNUC_PRINTF (2, 3);

/* Runs the command line; returns the exit status: 0 done, 1 refused or failed, 2 misused, 3 could not find out, 128 and
 * a signal's number when that ended a command that watches for signals. */
int usher_ctl_main (int argc, char **argv);

/* The commands, by the file they live in. */
gboolean usher_ctl_signin (UsherCtl *ctl, GError **error);
gboolean usher_ctl_signout (UsherCtl *ctl, GError **error);
gboolean usher_ctl_whoami (UsherCtl *ctl, GError **error);
gboolean usher_ctl_apply (UsherCtl *ctl, GError **error);
gboolean usher_ctl_get (UsherCtl *ctl, GError **error);
gboolean usher_ctl_describe (UsherCtl *ctl, GError **error);
gboolean usher_ctl_delete (UsherCtl *ctl, GError **error);
gboolean usher_ctl_refresh (UsherCtl *ctl, GError **error);
gboolean usher_ctl_watch (UsherCtl *ctl, GError **error);
gboolean usher_ctl_why (UsherCtl *ctl, GError **error);
gboolean usher_ctl_host_token (UsherCtl *ctl, GError **error);
gboolean usher_ctl_connect (UsherCtl *ctl, GError **error);
gboolean usher_ctl_restart (UsherCtl *ctl, GError **error);
gboolean usher_ctl_template_build (UsherCtl *ctl, GError **error);
gboolean usher_ctl_template_import (UsherCtl *ctl, GError **error);
gboolean usher_ctl_template_versions (UsherCtl *ctl, GError **error);
gboolean usher_ctl_template_publish (UsherCtl *ctl, GError **error);
gboolean usher_ctl_template_rollback (UsherCtl *ctl, GError **error);
gboolean usher_ctl_template_retire (UsherCtl *ctl, GError **error);
gboolean usher_ctl_template_export (UsherCtl *ctl, GError **error);
gboolean usher_ctl_completion (UsherCtl *ctl, GError **error);

/* The kind that `text` names, or NULL with an error of the command line. */
const char *usher_ctl_kind (const char *text, GError **error);
