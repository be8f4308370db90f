#include "hostd/virt/agent.h"

#include <jansson.h>
#include <libvirt/libvirt-qemu.h>
#include <string.h>

#include "common/error.h"
#include "common/json.h"
#include "common/log.h"
#include "hostd/virt/connection.h"

#define ASK_AGAIN_US (10 * 1000) /* each question takes from the guest what it works with */
#define SAID_MAX 500

/* One call of the agent within the time left. NULL and UNAVAILABLE: it does not answer (yet); other errors are its
 * refusals. */
static json_t *
call (virDomainPtr domain, json_t *command, gint64 until_us, GError **error)
{
  g_autofree char *line = usher_json_to_line (command);
  gint64 left_s = MAX (1, (until_us - g_get_monotonic_time ()) / G_USEC_PER_SEC);
  char *answer = virDomainQemuAgentCommand (domain, line, (int) left_s, 0);
  if (answer == NULL)
    {
      usher_virt_failed (error, "asking the guest agent");
      return NULL;
    }
  json_auto_t *json = usher_json_parse (answer, strlen (answer), "the guest agent's answer", error);
  free (answer);
  if (json != NULL && json_object_get (json, "return") == NULL)
    g_set_error (error, USHER_ERROR, USHER_ERROR_INTERNAL, "the guest agent gives no result");
  return json != NULL ? json_incref (json_object_get (json, "return")) : NULL;
}

/* As call(), again and again while the agent is not there: right after a start it has yet to connect. */
static json_t *
call_patiently (virDomainPtr domain, json_t *command, gint64 until_us, GError **error)
{
  for (guint tries = 0;; tries++)
    {
      g_autoptr (GError) problem = NULL;
      json_t *answer = call (domain, command, until_us, &problem);
      if (answer != NULL)
        return answer;
      if (!g_error_matches (problem, USHER_ERROR, USHER_ERROR_UNAVAILABLE) || g_get_monotonic_time () > until_us)
        {
          g_propagate_error (error, g_steal_pointer (&problem));
          return NULL;
        }
      usher_virt_pause (ASK_AGAIN_US, tries);
    }
}

/* What a program wrote, as one printable line. */
static char *
said (const json_t *status)
{
  gsize length = 0;
  g_autofree guchar *bytes = g_base64_decode (usher_json_string (status, "err-data"), &length);
  g_autofree char *text = g_utf8_make_valid ((const char *) bytes, (gssize) MIN (length, SAID_MAX));
  return g_strdup (*g_strstrip (text) != '\0' ? text : "it does not say why");
}

static gboolean
judge (const char *program, const json_t *status, GError **error)
{
  gint64 code = usher_json_int (status, "exitcode"), signal = usher_json_int (status, "signal");
  if (code == 0 && signal == 0)
    return TRUE;
  g_autofree char *text = said (status);
  g_set_error (error, USHER_ERROR, USHER_ERROR_INTERNAL, "%s in the guest ended with %s %" G_GINT64_FORMAT ": %s", program,
               signal != 0 ? "signal" : "status", signal != 0 ? signal : code, text);
  return FALSE;
}

static gboolean
wait_for (virDomainPtr domain, const char *program, gint64 pid, gint64 until_us, guint *out_asked, GError **error)
{
  json_auto_t *command = json_pack ("{s:s,s:{s:I}}", "execute", "guest-exec-status", "arguments", "pid", (json_int_t) pid);
  while (g_get_monotonic_time () < until_us)
    {
      json_auto_t *status = call (domain, command, until_us, error);
      (*out_asked)++;
      if (status == NULL)
        return FALSE;
      if (json_is_true (json_object_get (status, "exited")))
        return judge (program, status, error);
      usher_virt_pause (ASK_AGAIN_US, *out_asked);
    }
  g_set_error (error, USHER_ERROR, USHER_ERROR_UNAVAILABLE, "%s in the guest has not ended in time", program);
  return FALSE;
}

/* What the agent says of a program that is not there is told apart: another try would not help. */
static void
set_exec_error (const char *program, GError *problem, GError **error)
{
  if (strstr (problem->message, "Failed to execute child process") == NULL || strstr (problem->message, "No such file") == NULL)
    {
      g_propagate_error (error, problem);
      return;
    }
  g_error_free (problem);
  g_set_error (error, USHER_ERROR, USHER_ERROR_REFUSED, "the guest has no %s", program);
}

gboolean
usher_virt_agent_run (UsherVirt *virt, const char *id, const char *program, const char *input, guint timeout_ms, GError **error)
{
  gint64 asked_us = g_get_monotonic_time (), until_us = asked_us + (gint64) timeout_ms * 1000;
  guint asked = 0;
  g_autoptr (virDomain) domain = usher_virt_lookup (virt, id, error);
  if (domain == NULL)
    return FALSE;
  g_autofree char *encoded = g_base64_encode ((const guchar *) input, strlen (input));
  json_auto_t *command = json_pack ("{s:s,s:{s:s,s:s,s:b}}", "execute", "guest-exec", "arguments", "path", program, "input-data",
                                    encoded, "capture-output", 1);
  GError *problem = NULL;
  json_auto_t *begun = call_patiently (domain, command, until_us, &problem);
  if (begun == NULL)
    set_exec_error (program, problem, error);
  gint64 begun_us = g_get_monotonic_time ();
  gboolean done = begun != NULL && wait_for (domain, program, usher_json_int (begun, "pid"), until_us, &asked, error);
  usher_log (USHER_LOG_DEBUG, &(UsherLogContext) { .desktop = id }, "%s: begun after %.1f ms, ran %.1f ms, asked %u times", program,
             (double) (begun_us - asked_us) / 1000, (double) (g_get_monotonic_time () - begun_us) / 1000, asked);
  return done;
}
