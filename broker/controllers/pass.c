#include "broker/controllers/pass.h"

#include "broker/store/work.h"
#include "common/fault.h"
#include "common/log.h"
#include "policies/placement.h"
#include "policies/pool_plan.h"

#define SESSIONS_S 1     /* how late a session whose desktop went is ended: all open ones are looked at for it */
#define PLACE_AGAIN_S 10 /* hosts' figures give no notice when they change */

static void
look_again (UsherPass *pass, guint seconds)
{
  pass->again_s = pass->again_s == 0 ? seconds : MIN (pass->again_s, seconds);
}

static gboolean
keep_pools (UsherPass *pass, UsherStore *store, GError **error)
{
  g_auto (GStrv) pools = usher_work_list_pools (store, error);
  if (pools == NULL)
    return FALSE;
  for (gsize i = 0; pools[i] != NULL; i++)
    {
      guint again_s = 0;
      if (!usher_work_on_pool (store, pools[i], usher_pool_plan, &again_s, error))
        return FALSE;
      USHER_FAULT_POINT ("controllers.pool");
      if (again_s > 0)
        look_again (pass, again_s);
    }
  return TRUE;
}

static gboolean
place (UsherPass *pass, UsherStore *store, GError **error)
{
  guint placed = 0, left = 0;
  if (!usher_work_place (store, usher_placement_choose, &placed, &left, error))
    return FALSE;
  if (left > 0)
    look_again (pass, PLACE_AGAIN_S);
  return TRUE;
}

static gboolean
drop_unplaced (UsherPass *pass, UsherStore *store, GError **error)
{
  (void) pass;
  return usher_work_drop_unplaced (store, error);
}

static gboolean
end_sessions (UsherPass *pass, UsherStore *store, GError **error)
{
  guint ended = 0;
  if (pass->tick || pass->look)
    return usher_work_end_sessions (store, &ended, error);
  look_again (pass, SESSIONS_S);
  return TRUE;
}

static gboolean
leave (UsherPass *pass, UsherStore *store, GError **error)
{
  guint again_s = 0;
  if (!pass->tick && !pass->look)
    return TRUE;
  if (!usher_work_leave (store, usher_leaving_plan, &again_s, error))
    return FALSE;
  if (again_s > 0)
    look_again (pass, again_s);
  return TRUE;
}

static gboolean
mark_silent (UsherPass *pass, UsherStore *store, GError **error)
{
  return !pass->tick || usher_work_mark_silent (store, error);
}

static gboolean
forget (UsherPass *pass, UsherStore *store, GError **error)
{
  return !pass->tick || usher_work_forget (store, error);
}

static gboolean (*const steps[]) (UsherPass *, UsherStore *, GError **) = {
  mark_silent, leave, keep_pools, drop_unplaced, place, end_sessions, forget,
};

gboolean
usher_pass_make (UsherPass *pass, UsherStore *store, GError **error)
{
  GError *first = NULL;
  pass->again_s = 0;
  for (gsize i = 0; i < G_N_ELEMENTS (steps); i++)
    {
      g_autoptr (GError) local = NULL;
      if (!steps[i](pass, store, &local) && first == NULL)
        first = g_steal_pointer (&local);
    }
  if (first == NULL)
    return TRUE;
  g_propagate_error (error, first);
  return FALSE;
}
