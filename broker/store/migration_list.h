/* Inside of broker/store/: the migrations' texts, made at build time from broker/store/migrations/. */
#pragma once
#include <glib.h>

typedef struct {
  guint number;
  const char *name, *text;
} UsherMigration;

/* In order of number, from 1 without gaps; ends with a name of NULL. */
extern const UsherMigration usher_migrations[];
