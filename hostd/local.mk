# hostd: one KVM host. libvirt's headers appear in hostd/virt only.
noinst_LIBRARIES += libusher-hostd.a
libusher_hostd_a_SOURCES = \
	hostd/settings.c hostd/settings.h
libusher_hostd_a_CFLAGS = $(AM_CFLAGS) $(LIBVIRT_CFLAGS) $(SOUP_CFLAGS) $(OPENSSL_CFLAGS)
HOSTD_LIBS = libusher-hostd.a $(LIBVIRT_LIBS) $(SOUP_LIBS)
