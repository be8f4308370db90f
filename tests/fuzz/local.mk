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

# The messages between the parts.
FUZZ_TARGETS += tests/fuzz/door-greeting tests/fuzz/grant tests/fuzz/messages
tests_fuzz_door_greeting_SOURCES = tests/fuzz/door-greeting.c $(FUZZ_MAIN)
tests_fuzz_door_greeting_CFLAGS = $(AM_CFLAGS) $(FUZZ_CFLAGS)
tests_fuzz_door_greeting_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_CFLAGS)
tests_fuzz_door_greeting_LDADD = $(BASE_LIBS)
tests_fuzz_grant_SOURCES = tests/fuzz/grant.c $(FUZZ_MAIN)
tests_fuzz_grant_CFLAGS = $(AM_CFLAGS) $(FUZZ_CFLAGS)
tests_fuzz_grant_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_CFLAGS)
tests_fuzz_grant_LDADD = $(BASE_LIBS)
tests_fuzz_messages_SOURCES = tests/fuzz/messages.c $(FUZZ_MAIN)
tests_fuzz_messages_CFLAGS = $(AM_CFLAGS) $(FUZZ_CFLAGS)
tests_fuzz_messages_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_CFLAGS)
tests_fuzz_messages_LDADD = $(BASE_LIBS)
