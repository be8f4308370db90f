/* The file that opens a desktop in remote-viewer (virt-viewer's GKeyFile format). A pure writer. */
#pragma once
#include <glib.h>

typedef struct {
  const char *host;         /* the gateway, as the viewer reaches it */
  guint port;               /* its TLS port */
  const char *ticket;       /* one-time; the SPICE password */
  const char *ca_pem;       /* who vouches for the gateway's certificate; NULL: the system's trust store */
  const char *host_subject; /* the gateway certificate's subject, checked by the viewer; NULL: checks the host name */
  const char *title;        /* of the viewer's window */
} UsherViewerFile;

/* Text owned by the caller. It holds the ticket: wipe it. */
char *usher_viewer_file_write (const UsherViewerFile *file);
