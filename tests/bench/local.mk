# tests/bench: what ./bench runs besides Usher itself.
check_PROGRAMS += tests/bench/floor tests/bench/people
tests_bench_floor_SOURCES = tests/bench/floor.c
tests_bench_floor_CFLAGS = $(AM_CFLAGS) $(LDAP_CFLAGS) $(PQ_CFLAGS)
tests_bench_floor_LDADD = $(LDAP_LIBS) $(PQ_LIBS) $(GLIB_LIBS)
tests_bench_people_SOURCES = tests/bench/people.c
tests_bench_people_CFLAGS = $(AM_CFLAGS) $(OPENSSL_CFLAGS)
tests_bench_people_LDADD = $(OPENSSL_LIBS) $(JANSSON_LIBS) $(GLIB_LIBS)
