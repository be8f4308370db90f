#include "hostd/clone/fork.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/error.h"
#include "common/fault.h"
#include "common/json.h"
#include "common/log.h"
#include "hostd/clone/forkable.h"
#include "hostd/clone/parents_private.h"
#include "hostd/storage/overlay.h"
#include "hostd/virt/agent.h"
#include "hostd/virt/hot.h"

#define IDENTITY_PROGRAM "/usr/lib/usher/identity"
#define START_S 60
#define STATE_TIMEOUT_MS (30 * 1000)
#define IDENTITY_TIMEOUT_MS (60 * 1000)
#define USER_TIMEOUT_MS (10 * 1000)
#define SEED_BYTES 64

typedef struct {
  UsherParents *parents;
  const UsherParent *parent;
  const UsherForkOrder *order;
  UsherDomainSpec cold;
} Fork;

/* ---- steps ---- */

static gboolean
make_overlay (const Fork *fork, GError **error)
{
  if (fork->parent->base != NULL && !usher_overlay_make (fork->cold.disk, fork->parent->base, error))
    return FALSE;
  USHER_FAULT_POINT ("clone.fork.overlay");
  return TRUE;
}

static gboolean
define (const Fork *fork, GError **error)
{
  if (!usher_virt_define (fork->parents->virt, &fork->cold, error))
    return FALSE;
  USHER_FAULT_POINT ("clone.fork.defined");
  return TRUE;
}

static gboolean
start (const Fork *fork, GError **error)
{
  char ticket[USHER_TOKEN_SIZE];
  UsherParents *parents = fork->parents;
  if (!usher_golden_announce (parents->golden, fork->cold.id, fork->parent->ram, START_S, ticket, error))
    return FALSE;
  UsherDomainHot hot = { .parent = FALSE, .emulator = parents->emulator, .socket = usher_golden_get_path (parents->golden),
                         .ticket = ticket, .elastic_mib = usher_clone_elastic_mib (fork->parent->key.ram_mib) };
  UsherDomainRun run = { .start = fork->order->start, .started_at = fork->order->started_at, .forking = TRUE };
  UsherDomainSpec live = fork->cold;
  live.hot = &hot;
  live.run = &run;
  gboolean started = usher_virt_start_hot (parents->virt, &live, error);
  usher_golden_withdraw (parents->golden, fork->cold.id);
  USHER_FAULT_POINT ("clone.fork.started");
  return started;
}

static gboolean
state_in (const Fork *fork, GError **error)
{
  g_autofree char *path = usher_parents_dup_path (fork->parents, fork->parent->name, "state");
  int fd = open (path, O_RDONLY | O_CLOEXEC); /* its own: QEMU reads on from the descriptor's position */
  if (fd < 0)
    return usher_parent_failed (error, path);
  gboolean done = usher_virt_state_in (fork->parents->virt, fork->cold.id, fd, STATE_TIMEOUT_MS, error);
  close (fd);
  USHER_FAULT_POINT ("clone.fork.state_in");
  return done;
}

static gboolean
resume (const Fork *fork, GError **error)
{
  if (!usher_virt_resume (fork->parents->virt, fork->cold.id, error))
    return FALSE;
  USHER_FAULT_POINT ("clone.fork.resumed");
  return TRUE;
}

static gboolean
plug_data (const Fork *fork, GError **error)
{
  return usher_virt_plug_data (fork->parents->virt, &fork->cold, error);
}

/* After the identity: on the network nobody sees the parent's. */
static gboolean
plug_network (const Fork *fork, GError **error)
{
  if (!usher_virt_plug_network (fork->parents->virt, &fork->cold, error))
    return FALSE;
  USHER_FAULT_POINT ("clone.fork.plugged");
  return TRUE;
}

/* The document that the guest's program reads (docs/adr/0070-instant-clones.md). */
static char *
make_identity (const Fork *fork)
{
  guint8 seed[SEED_BYTES];
  g_autofree char *machine_id = g_strdup (fork->cold.id);
  if (getrandom (seed, sizeof seed, 0) != sizeof seed)
    g_error ("getrandom: %s", g_strerror (errno));
  g_autofree char *encoded = g_base64_encode (seed, sizeof seed);
  g_auto (GStrv) parts = g_strsplit (machine_id, "-", -1);
  g_autofree char *joined = g_strjoinv ("", parts);
  json_auto_t *json = json_pack ("{s:s,s:s,s:s,s:f,s:s}", "hostname", fork->cold.name, "machine_id", joined, "user",
                                 fork->order->user != NULL ? fork->order->user : "", "time",
                                 (double) g_get_real_time () / G_USEC_PER_SEC, "seed", encoded);
  return usher_json_to_line (json);
}

static gboolean
give_identity (const Fork *fork, GError **error)
{
  g_autofree char *document = make_identity (fork);
  if (!usher_virt_agent_run (fork->parents->virt, fork->cold.id, IDENTITY_PROGRAM, document, IDENTITY_TIMEOUT_MS, error))
    return FALSE;
  USHER_FAULT_POINT ("clone.fork.identified");
  return TRUE;
}

static gboolean
note (const Fork *fork, GError **error)
{
  UsherDomainRun run = { .start = fork->order->start, .started_at = fork->order->started_at, .ready = TRUE };
  if (!usher_virt_set_run (fork->parents->virt, fork->cold.id, &run, error))
    return FALSE;
  USHER_FAULT_POINT ("clone.fork.noted");
  return TRUE;
}

static const struct {
  const char *name;
  gboolean (*func) (const Fork *fork, GError **error);
} steps[] = {
  { "overlay", make_overlay },   { "define", define },   { "start", start },               { "state", state_in },
  { "resume", resume },          { "data", plug_data },  { "identity", give_identity },    { "network", plug_network },
  { "note", note },
};

/* ---- the whole ---- */

/* Takes all steps, noting how long each took. */
static gboolean
take_steps (const Fork *fork, GString *times, GError **error)
{
  gint64 begun_us = g_get_monotonic_time (), last_us = begun_us;
  for (gsize i = 0; i < G_N_ELEMENTS (steps); i++)
    {
      gboolean done = steps[i].func (fork, error);
      gint64 now_us = g_get_monotonic_time ();
      g_string_append_printf (times, "%s %.1f, ", steps[i].name, (double) (now_us - last_us) / 1000);
      last_us = now_us;
      if (!done)
        {
          g_prefix_error (error, "forking (%s): ", steps[i].name);
          return FALSE;
        }
    }
  g_string_append_printf (times, "in all %.1f ms", (double) (last_us - begun_us) / 1000);
  return TRUE;
}

/* Before anything is touched: a running desktop keeps its disk. */
static gboolean
is_free (UsherParents *parents, const char *id, GError **error)
{
  UsherDomainFacts facts;
  if (!usher_virt_look (parents->virt, id, &facts, error))
    return FALSE;
  if (facts.state == USHER_DOMAIN_NONE || facts.state == USHER_DOMAIN_OFF)
    return TRUE;
  g_set_error (error, USHER_ERROR, USHER_ERROR_CONFLICT, "forking: the domain is there already and runs, or is not ours");
  return FALSE;
}

/* The live definition goes; the cold one stays. */
static void
give_up (UsherParents *parents, const char *id)
{
  g_autoptr (GError) problem = NULL;
  if (!usher_virt_destroy (parents->virt, id, &problem))
    usher_log (USHER_LOG_WARNING, &(UsherLogContext) { .desktop = id }, "a fork that failed is left: %s", problem->message);
}

gboolean
usher_clone_fork (UsherParents *parents, UsherParent *parent, const UsherDomainSpec *cold, const UsherForkOrder *order, GError **error)
{
  UsherLogContext context = { .desktop = cold->id };
  g_autoptr (GString) times = g_string_new (NULL);
  Fork fork = { parents, parent, order, *cold };
  fork.cold.base = parent->base;
  fork.cold.base_below = parent->template->disk;
  fork.cold.hot = NULL;
  if (parent->base == NULL)
    fork.cold.disk = NULL;
  if (!is_free (parents, cold->id, error))
    return FALSE;
  gboolean done = take_steps (&fork, times, error);
  usher_log (USHER_LOG_DEBUG, &context, "fork of %s: %s%s", parent->name, times->str, done ? "" : "and failed");
  if (!done)
    give_up (parents, cold->id);
  return done;
}

gboolean
usher_clone_tell_user (UsherVirt *virt, const char *id, const char *user, GError **error)
{
  json_auto_t *json = json_pack ("{s:s}", "user", user);
  g_autofree char *document = usher_json_to_line (json);
  return usher_virt_agent_run (virt, id, IDENTITY_PROGRAM, document, USER_TIMEOUT_MS, error);
}
