/* JSON → YAML text that usher_yaml_read() reads back as the same value. */
#pragma once
#include <glib.h>
#include <jansson.h>

/* One document, beginning with "---"; owned by the caller. */
char *usher_yaml_write (const json_t *value);
