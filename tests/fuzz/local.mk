# tests/fuzz: one target for each parser of outside bytes; NAME.c with its corpus in corpus/NAME. A folder's
# own targets are listed in its local.mk:
#
#     FUZZ_TARGETS += tests/fuzz/NAME
#     tests_fuzz_NAME_SOURCES = tests/fuzz/NAME.c $(FUZZ_MAIN)
#     tests_fuzz_NAME_CFLAGS = $(AM_CFLAGS) $(FUZZ_CFLAGS)
#     tests_fuzz_NAME_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_CFLAGS)
#     tests_fuzz_NAME_LDADD = libusher-….a $(BASE_LIBS)
if FUZZERS
FUZZ_MAIN = tests/fuzz/fuzz.h
FUZZ_CFLAGS = -fsanitize=fuzzer
else
FUZZ_MAIN = tests/fuzz/driver.c tests/fuzz/fuzz.h
FUZZ_CFLAGS =
endif
