/* One libvirt: the connection, its events, and what we do to domains. The only folder that knows libvirt.
 *
 * All usher_virt_* calls but new and free block and may be made from any thread; calls on one domain must not
 * overlap (hostd/desktops sees to it). A lost connection is opened anew by the next call, with its events.
 * Errors: UNAVAILABLE when libvirt could not be asked, so nothing is known; EXHAUSTED when memory or disk
 * is short; MISSING when there is no such domain; CONFLICT when its state does not allow that; INTERNAL for any other
 * refusal, with libvirt's own words. */
#pragma once
#include <glib.h>
#include "hostd/virt/domain_xml.h"

typedef struct _UsherVirt UsherVirt;

typedef enum {
  USHER_VIRT_CHANGED,  /* something about domain `id` changed: look */
  USHER_VIRT_REBOOTED, /* its guest was reset */
  USHER_VIRT_CLOSED,   /* the connection is lost; `id` is NULL. Domains go on */
} UsherVirtEvent;

/* Called in the main context that was thread-default at usher_virt_new(). */
typedef void (*UsherVirtEventFunc) (UsherVirtEvent event, const char *id, gpointer user_data);

/* At most one in a process: libvirt's event loop is global. `deployment` marks our domains. libvirt's events come by GLib's
 * default context; a thread of ours runs it (and all that waits there!) whenever nobody owns it, so a daemon acquires it first
 * thing and for good. */
UsherVirt *usher_virt_new (const char *uri, const char *deployment, UsherVirtEventFunc func, gpointer user_data);
void usher_virt_free (UsherVirt *virt);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherVirt, usher_virt_free)

/* Ids of all domains of our deployment, running or not: g_strfreev(). */
char **usher_virt_list (UsherVirt *virt, GError **error);

typedef enum {
  USHER_DOMAIN_NONE,    /* not defined */
  USHER_DOMAIN_FOREIGN, /* there, and not ours: never touched */
  USHER_DOMAIN_OFF,
  USHER_DOMAIN_RUNNING,
  USHER_DOMAIN_PAUSED,
} UsherDomainState;

typedef struct {
  UsherDomainState state;
  const char *why;     /* why it is off or paused, e.g. "crashed"; static, "" when unknown */
  int spice_port;      /* on 127.0.0.1; 0 when not running */
  UsherDomainRun run;  /* zeros when not running */
} UsherDomainFacts;

/* What is seen of domain `id` now; that there is none is an answer, not an error. */
gboolean usher_virt_look (UsherVirt *virt, const char *id, UsherDomainFacts *out, GError **error);

/* The active libvirt network desktops go into, or NULL for none; owned by the caller. */
char *usher_virt_find_network (UsherVirt *virt);

gboolean usher_virt_define (UsherVirt *virt, const UsherDomainSpec *spec, GError **error);
gboolean usher_virt_start (UsherVirt *virt, const char *id, GError **error);
gboolean usher_virt_resume (UsherVirt *virt, const char *id, GError **error);
/* Asks the guest, by its agent or else by ACPI, and returns at once. */
gboolean usher_virt_shutdown (UsherVirt *virt, const char *id, GError **error);
gboolean usher_virt_reboot (UsherVirt *virt, const char *id, GError **error);
/* Without asking. Destroying what is off already, or gone, is success. */
gboolean usher_virt_reset (UsherVirt *virt, const char *id, GError **error);
gboolean usher_virt_destroy (UsherVirt *virt, const char *id, GError **error);
gboolean usher_virt_undefine (UsherVirt *virt, const char *id, GError **error);

/* Whether the guest agent answers; *out_answers FALSE without error: not yet. Takes at most some seconds. */
gboolean usher_virt_ping (UsherVirt *virt, const char *id, gboolean *out_answers, GError **error);

/* Puts a console secret in force on the live domain. */
gboolean usher_virt_set_console (UsherVirt *virt, const char *id, const char *secret, gint64 valid_until, GError **error);

/* Notes what holds of this run, on the live domain. */
gboolean usher_virt_set_run (UsherVirt *virt, const char *id, const UsherDomainRun *run, GError **error);
