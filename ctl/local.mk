# ctl: usherctl; owns libyaml, and libsoup's client side in client.c.
noinst_LIBRARIES += libusher-ctl.a
libusher_ctl_a_SOURCES = \
	ctl/apply.c \
	ctl/client.c ctl/client.h \
	ctl/command.c ctl/command.h \
	ctl/completion.c \
	ctl/connect.c \
	ctl/interrupt.c ctl/interrupt.h \
	ctl/output.c ctl/output.h \
	ctl/progress.c ctl/progress.h \
	ctl/records.c \
	ctl/session.c ctl/session.h \
	ctl/signin.c \
	ctl/template/bundle.c ctl/template/bundle.h \
	ctl/template/commands.c ctl/template/template.h \
	ctl/template/export.c \
	ctl/template/image.c ctl/template/image.h \
	ctl/template/import.c \
	ctl/template/patience.c ctl/template/patience.h \
	ctl/template/recipe.c ctl/template/recipe.h \
	ctl/template/upload.c ctl/template/upload.h \
	ctl/template/workdir.c ctl/template/workdir.h \
	ctl/yaml_read.c ctl/yaml_read.h \
	ctl/yaml_write.c ctl/yaml_write.h
libusher_ctl_a_CFLAGS = $(AM_CFLAGS) $(SOUP_CFLAGS) $(YAML_CFLAGS)
CTL_LIBS = libusher-ctl.a libusher-templates.a $(IMAGE_LIBS) $(BASE_LIBS) $(SOUP_LIBS) $(YAML_LIBS)

bin_PROGRAMS += usherctl
usherctl_SOURCES = ctl/main.c
usherctl_CFLAGS = $(AM_CFLAGS)
usherctl_LDADD = $(CTL_LIBS)

# The recipes go where an installed usherctl looks for them, whatever the prefix is.
recipesdir = $(pkgdatadir)/templates
.PHONY: install-recipes uninstall-recipes
install-data-local: install-recipes
uninstall-local: uninstall-recipes
install-recipes: guest-identity
	$(MKDIR_P) "$(DESTDIR)$(recipesdir)"
	cd $(top_srcdir)/templates && tar -c --exclude='*.[ch]' --exclude=local.mk . | tar -x --no-same-owner -C "$(DESTDIR)$(recipesdir)"
	$(INSTALL_PROGRAM) guest-identity "$(DESTDIR)$(recipesdir)/guest/identity"
uninstall-recipes:
	rm -rf "$(DESTDIR)$(recipesdir)"

UNIT_TESTS += tests/unit/ctl-test
tests_unit_ctl_test_SOURCES = tests/unit/ctl/ctl-test.c
tests_unit_ctl_test_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_ctl_test_LDADD = $(CTL_LIBS) $(CMOCKA_LIBS)

FUZZ_TARGETS += tests/fuzz/yaml
tests_fuzz_yaml_SOURCES = tests/fuzz/yaml.c $(FUZZ_MAIN)
tests_fuzz_yaml_CFLAGS = $(AM_CFLAGS) $(FUZZ_CFLAGS)
tests_fuzz_yaml_LDFLAGS = $(AM_LDFLAGS) $(FUZZ_CFLAGS)
tests_fuzz_yaml_LDADD = $(CTL_LIBS)
