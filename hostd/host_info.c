#include "hostd/host_info.h"

#include <string.h>
#include <unistd.h>

gboolean
usher_host_cpu_has_virtualisation (const char *cpuinfo)
{
  g_auto (GStrv) lines = g_strsplit (cpuinfo, "\n", -1);
  for (gsize i = 0; lines[i] != NULL; i++)
    if (g_str_has_prefix (lines[i], "flags"))
      {
        g_auto (GStrv) words = g_strsplit_set (lines[i], " \t:", -1);
        return g_strv_contains ((const char *const *) words, "vmx") || g_strv_contains ((const char *const *) words, "svm");
      }
  return FALSE;
}

static char *
read_proc (const char *path)
{
  char *text = NULL;
  return g_file_get_contents (path, &text, NULL, NULL) ? text : g_strdup ("");
}

const char *
usher_host_domain_type (const char *setting, const char *libvirt_uri)
{
  if (g_str_has_prefix (libvirt_uri, "test:"))
    return "test";
  if (!g_str_equal (setting, "auto"))
    return g_str_equal (setting, "kvm") ? "kvm" : g_str_equal (setting, "test") ? "test" : "qemu";
  g_autofree char *cpuinfo = read_proc ("/proc/cpuinfo");
  return usher_host_cpu_has_virtualisation (cpuinfo) && access ("/dev/kvm", R_OK | W_OK) == 0 ? "kvm" : "qemu";
}

gint64
usher_host_meminfo_mib (const char *meminfo, const char *field)
{
  gsize length = strlen (field);
  g_auto (GStrv) lines = g_strsplit (meminfo, "\n", -1);
  for (gsize i = 0; lines[i] != NULL; i++)
    if (g_str_has_prefix (lines[i], field) && lines[i][length] == ':')
      return g_ascii_strtoll (lines[i] + length + 1, NULL, 10) / 1024; /* it is in kB */
  return 0;
}

UsherHostInfo *
usher_host_info_sample (UsherDesktopDirs *dirs, UsherTemplateStore *templates, gint64 reserve_mib)
{
  UsherHostInfo *info = g_new0 (UsherHostInfo, 1);
  g_autofree char *meminfo = read_proc ("/proc/meminfo");
  info->cpus = MAX (sysconf (_SC_NPROCESSORS_ONLN), 1);
  info->memory_mib = MAX (usher_host_meminfo_mib (meminfo, "MemTotal") - reserve_mib, 0);
  info->memory_free_mib = MAX (usher_host_meminfo_mib (meminfo, "MemAvailable") - reserve_mib, 0);
  info->disk_free_mib = MAX (usher_desktop_dirs_free_mib (dirs), 0);
  info->templates = usher_template_store_list (templates);
  return info;
}

void
usher_host_info_free (UsherHostInfo *info)
{
  g_strfreev (info->templates);
  g_free (info);
}
