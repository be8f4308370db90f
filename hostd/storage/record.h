/* The record of a desktop as JSON. */
#pragma once
#include <jansson.h>
#include "hostd/storage/desktop_dir.h"

json_t *usher_desktop_record_to_json (const UsherDesktopRecord *record);

/* INVALID naming the member; `what` names the document. */
UsherDesktopRecord *usher_desktop_record_from_json (const json_t *json, const char *what, GError **error);
