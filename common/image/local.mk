# common/image: strangers' disk images, looked at by us and by a confined qemu-img. What the command line imports and what
# the broker takes in goes through here.
noinst_LIBRARIES += libusher-image.a
libusher_image_a_SOURCES = \
	common/image/confine.c common/image/confine.h \
	common/image/head.c common/image/head.h \
	common/image/tool.c common/image/tool.h
libusher_image_a_CFLAGS = $(AM_CFLAGS) $(SECCOMP_CFLAGS)
IMAGE_LIBS = libusher-image.a $(SECCOMP_LIBS)

UNIT_TESTS += tests/unit/image/image-test
tests_unit_image_image_test_SOURCES = tests/unit/image/image-test.c
tests_unit_image_image_test_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_image_image_test_LDADD = $(IMAGE_LIBS) $(BASE_LIBS) $(CMOCKA_LIBS)

FUZZ_TARGETS += tests/fuzz/image
tests_fuzz_image_SOURCES = tests/fuzz/image.c $(FUZZ_MAIN)
tests_fuzz_image_CFLAGS = $(AM_CFLAGS) $(FUZZ_CFLAGS)
tests_fuzz_image_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_CFLAGS)
tests_fuzz_image_LDADD = $(IMAGE_LIBS) $(BASE_LIBS)
