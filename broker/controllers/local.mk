# broker/controllers: what keeps the records' promises.
noinst_LIBRARIES += libusher-controllers.a
libusher_controllers_a_SOURCES = \
	broker/controllers/controllers.c broker/controllers/controllers.h \
	broker/controllers/pass.c broker/controllers/pass.h
libusher_controllers_a_CFLAGS = $(AM_CFLAGS)
CONTROLLERS_LIBS = libusher-controllers.a $(STORE_LIBS)
