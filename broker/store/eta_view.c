#include "broker/store/eta_view.h"

#include "common/json.h"

static gsize
read_times (const json_t *view, const char *key, gint64 times[USHER_ETA_TIMES_MAX])
{
  const json_t *list = json_object_get (view, key);
  gsize n = MIN (json_array_size (list), USHER_ETA_TIMES_MAX);
  for (gsize i = 0; i < n; i++)
    times[i] = json_integer_value (json_array_get (list, i));
  return n;
}

/* One that cannot be built, or was given up for now, means a linked clone. */
static UsherEtaParent
read_parent (const json_t *view)
{
  const char *state = usher_json_string (json_object_get (view, "parent"), "state");
  if (!json_is_true (json_object_get (view, "instant")))
    return USHER_ETA_NO_PARENT;
  return state[0] == '\0'                    ? USHER_ETA_PARENT_TO_COME
         : g_str_equal (state, "building") ? USHER_ETA_PARENT_BUILDING
         : g_str_equal (state, "ready")    ? USHER_ETA_PARENT_READY
                                           : USHER_ETA_NO_PARENT;
}

UsherEtaView
usher_eta_view_read (const json_t *view, gint64 elapsed_s)
{
  const json_t *parent = json_object_get (view, "parent");
  gint64 linked_s[USHER_ETA_TIMES_MAX], instant_s[USHER_ETA_TIMES_MAX];
  UsherEtaWish wish = { .linked_s = linked_s,
                        .n_linked = read_times (view, "linked", linked_s),
                        .instant_s = instant_s,
                        .n_instant = read_times (view, "fast", instant_s),
                        .parent = read_parent (view),
                        .parent_took_s = usher_json_int (parent, "took_s"),
                        .parent_elapsed_s = usher_json_int (parent, "elapsed_s"),
                        .elapsed_s = elapsed_s };
  return (UsherEtaView){ .eta_s = usher_eta_of (&wish),
                         .instant = wish.parent == USHER_ETA_PARENT_READY,
                         .parent = wish.parent == USHER_ETA_PARENT_BUILDING  ? "building"
                                   : wish.parent == USHER_ETA_PARENT_TO_COME ? "to come"
                                                                             : NULL };
}
