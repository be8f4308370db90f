# broker/images: the folder of template versions; uploads become versions here.
noinst_LIBRARIES += libusher-broker-images.a
libusher_broker_images_a_SOURCES = \
	broker/images/folder.c broker/images/folder.h \
	broker/images/intake.c broker/images/intake.h \
	broker/images/limits.c broker/images/limits.h \
	broker/images/service.c broker/images/service.h \
	broker/images/sweep.c broker/images/sweep.h \
	broker/images/upload.c broker/images/upload.h \
	broker/images/wish.c broker/images/wish.h
libusher_broker_images_a_CFLAGS = $(AM_CFLAGS)
BROKER_IMAGES_LIBS = libusher-broker-images.a $(STORE_LIBS) libusher-templates.a $(IMAGE_LIBS)
