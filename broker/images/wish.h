/* What begins an upload: the request's body, checked as the version's manifest will be. Pure. */
#pragma once
#include "broker/images/limits.h"
#include "broker/store/uploads.h"
#include "common/json.h"

typedef struct {
  UsherUploadWish wish; /* borrows from the rest */
  json_t *manifest, *files;
  char *note, *digest;
} UsherImageWish;

/* INVALID names the member by path; TOO_LARGE the limit of `limits`. */
UsherImageWish *usher_image_wish_parse (UsherJson body, const char *template, const UsherImages *limits, GError **error);

/* The manifest of the upload's version upload->version as it lies in the folder, one line of text; owned by the caller. */
char *usher_image_manifest_text (const UsherUpload *upload);

/* [{"file","size","sha256"}]: manifest.json of that text, and the upload's files. New reference. */
json_t *usher_image_files (const UsherUpload *upload, const char *manifest_text);

void usher_image_wish_free (UsherImageWish *wish);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (UsherImageWish, usher_image_wish_free)
