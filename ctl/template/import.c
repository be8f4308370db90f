/* usherctl template import */
#include "common/error.h"
#include "common/json.h"
#include "ctl/command.h"
#include "ctl/interrupt.h"
#include "ctl/template/image.h"
#include "ctl/template/template.h"
#include "ctl/template/workdir.h"
#include "ctl/yaml_read.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define KERNEL_FILE "vmlinuz"
#define INITRD_FILE "initrd.img"
#define DISK_FILE "disk.qcow2"

/* What an imported image gets when nobody says otherwise. */
static const char defaults[] = "{\"machine\": \"pc-q35-7.2\", \"guest\": \"linux\", \"video\": \"qxl\", \"boot\": null,"
                               " \"minimum\": {\"vcpus\": 1, \"ram_mib\": 512}, \"default\": {\"vcpus\": 2, \"ram_mib\": 2048}, \"sealed\": []}";

static gboolean
is_folder (const char *path)
{
  return g_file_test (path, G_FILE_TEST_IS_DIR);
}

/* ---- the manifest ---- */

/* What `path` says (NULL: nothing), and the defaults for what it does not. */
static json_t *
read_manifest (const char *path, GError **error)
{
  g_autofree char *text = NULL;
  g_autoptr (GPtrArray) documents = NULL;
  g_autoptr (GError) problem = NULL;
  json_t *manifest = json_loads (defaults, 0, NULL);
  gsize length = 0;

  if (path == NULL)
    return manifest;
  if (!g_file_get_contents (path, &text, &length, &problem))
    g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "%s", problem->message);
  else
    documents = usher_yaml_read (text, length, path, error);
  if (documents != NULL && documents->len == 1 &&
      json_object_update (manifest, ((UsherYamlDocument *) documents->pdata[0])->value) == 0)
    return manifest;
  if (documents != NULL)
    g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "%s: is not one manifest", path);
  json_decref (manifest);
  return NULL;
}

static void
set_number (json_t *manifest, const char *key, int value)
{
  json_t *usual = json_object_get (manifest, "default"), *least = json_object_get (manifest, "minimum");

  if (value <= 0 || !json_is_object (usual) || !json_is_object (least))
    return;
  json_object_set_new (usual, key, json_integer (value));
  if (usher_json_int (least, key) > value)
    json_object_set_new (least, key, json_integer (value));
}

static void
set_text (json_t *manifest, const char *key, const char *value)
{
  if (value != NULL)
    json_object_set_new (manifest, key, json_string (value));
}

/* A guest of whose kind nobody said anything can't be expected to have the guest agent. */
static void
set_ready (json_t *manifest, const char *told)
{
  const char *rule = g_str_equal (usher_json_string (manifest, "guest"), "other") ? "running" : "agent";

  if (told == NULL && json_object_get (manifest, "ready") != NULL)
    return;
  json_object_set_new (manifest, "ready", json_pack ("{s:s, s:i}", "rule", told != NULL ? told : rule, "timeout_s", 900));
}

static void
set_members (json_t *manifest, const UsherCtlOptions *o, gint64 virtual_size)
{
  set_text (manifest, "name", o->name);
  set_text (manifest, "guest", o->guest);
  set_text (manifest, "firmware", o->firmware);
  set_number (manifest, "vcpus", o->vcpus);
  set_number (manifest, "ram_mib", o->ram_mib);
  set_ready (manifest, o->ready);
  json_object_set_new (manifest, "disk", json_pack ("{s:s, s:s, s:I}", "file", DISK_FILE, "format", "qcow2", "virtual_size", (json_int_t) virtual_size));
  if (o->kernel != NULL)
    json_object_set_new (manifest, "boot", json_pack ("{s:s, s:s, s:s}", "kernel", KERNEL_FILE, "initrd", INITRD_FILE, "cmdline", o->cmdline));
}

/* ---- the files ---- */

static gboolean
copy_file (const char *from, const char *folder, const char *name, GCancellable *cancellable, GError **error)
{
  g_autofree char *path = g_build_filename (folder, name, NULL);
  g_autoptr (GFile) source = g_file_new_for_path (from), target = g_file_new_for_path (path);
  GError *problem = NULL;

  if (g_file_copy (source, target, G_FILE_COPY_NONE, cancellable, NULL, NULL, &problem))
    return TRUE;
  if (g_error_matches (problem, G_IO_ERROR, G_IO_ERROR_CANCELLED)) {
    g_propagate_error (error, problem);
    return FALSE;
  }
  g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "%s: %s", from, problem->message);
  g_error_free (problem);
  return FALSE;
}

/* The mark of a Linux kernel that QEMU can load (Documentation/arch/x86/boot.rst). */
static gboolean
check_kernel (const char *path, GError **error)
{
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  char mark[6] = "";
  gboolean good = fd >= 0 && pread (fd, mark, sizeof mark, 0x1fe) == (gssize) sizeof mark && memcmp (mark, "\x55\xaaHdrS", 6) == 0;

  if (fd < 0)
    g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "%s: %s", path, g_strerror (errno));
  else if (!good)
    g_set_error (error, USHER_ERROR, USHER_ERROR_INVALID, "%s: is not a Linux kernel (bzImage)", path);
  if (fd >= 0)
    close (fd);
  return good;
}

/* ---- the command ---- */

static gboolean
check_options (const UsherCtl *ctl, GError **error)
{
  const UsherCtlOptions *o = &ctl->options;
  const char *alone[] = { o->kernel, o->initrd, o->cmdline, o->guest, o->firmware, o->ready, o->manifest };

  if (is_folder (ctl->words[0])) {
    for (gsize i = 0; i < G_N_ELEMENTS (alone); i++)
      if (alone[i] != NULL || o->vcpus > 0 || o->ram_mib > 0)
        return usher_ctl_misuse (error, "%s is a folder with a manifest of its own: only --name, --note and --publish go with it", ctl->words[0]);
    return TRUE;
  }
  if (o->name == NULL && o->manifest == NULL)
    return usher_ctl_misuse (error, "the template's name is missing: --name NAME");
  if ((o->kernel != NULL) != (o->initrd != NULL) || (o->kernel != NULL) != (o->cmdline != NULL))
    return usher_ctl_misuse (error, "--kernel, --initrd and --cmdline go together");
  if (o->vcpus < 0 || o->ram_mib < 0)
    return usher_ctl_misuse (error, "--vcpus and --ram-mib are numbers from 1 on");
  return TRUE;
}

static gboolean
import_image (UsherCtl *ctl, GCancellable *cancellable, GError **error)
{
  const UsherCtlOptions *o = &ctl->options;
  json_auto_t *manifest = read_manifest (o->manifest, error);
  g_autoptr (UsherWorkdir) workdir = NULL;
  g_autoptr (UsherBundle) bundle = NULL;
  const char *folder;
  gint64 virtual_size = 0;

  if (manifest == NULL || (o->kernel != NULL && !check_kernel (o->kernel, error)))
    return FALSE;
  set_members (manifest, o, 512);
  if (!usher_bundle_check (manifest, error)) /* before an hour's conversion, not after */
    return FALSE;
  workdir = usher_workdir_new (error);
  if (workdir == NULL)
    return FALSE;
  folder = usher_workdir_get_path (workdir);
  if (!usher_image_take_in (ctl->words[0], folder, json_is_null (json_object_get (manifest, "boot")), cancellable, &virtual_size, error) ||
      (o->kernel != NULL && (!copy_file (o->kernel, folder, KERNEL_FILE, cancellable, error) ||
                             !copy_file (o->initrd, folder, INITRD_FILE, cancellable, error))))
    return FALSE;
  set_members (manifest, o, virtual_size);
  bundle = usher_bundle_new (manifest, folder, cancellable, error);
  /* The same image converts to the same octets, so the same command goes on with its upload. */
  return bundle != NULL && usher_template_send (ctl, bundle, TRUE, error);
}

gboolean
usher_ctl_template_import (UsherCtl *ctl, GError **error)
{
  GCancellable *cancellable = usher_interrupt_watch ();
  g_autoptr (UsherBundle) bundle = NULL;

  if (!check_options (ctl, error) || !usher_template_may_send (ctl, cancellable, error))
    return FALSE;
  if (!is_folder (ctl->words[0]))
    return import_image (ctl, cancellable, error);
  bundle = usher_bundle_open (ctl->words[0], ctl->options.name, cancellable, error);
  return bundle != NULL && usher_template_send (ctl, bundle, TRUE, error);
}
