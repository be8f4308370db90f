# docs/man: the settings' pages, written by the programs themselves.
SETTINGS_PAGE = $(top_srcdir)/docs/man/settings-page
dist_noinst_DATA += docs/man/settings-page
dist_man_MANS = docs/man/usherctl.1
nodist_man_MANS = docs/man/usher-broker.conf.5 docs/man/usher-gateway.conf.5 docs/man/usher-hostd.conf.5
CLEANFILES += $(nodist_man_MANS)

docs/man/usher-broker.conf.5: usher-broker$(EXEEXT) $(SETTINGS_PAGE)
	$(AM_V_GEN)mkdir -p docs/man && $(SETTINGS_PAGE) ./usher-broker usher-broker 'settings of the broker' >$@.new && mv -f $@.new $@
docs/man/usher-gateway.conf.5: usher-gateway$(EXEEXT) $(SETTINGS_PAGE)
	$(AM_V_GEN)mkdir -p docs/man && $(SETTINGS_PAGE) ./usher-gateway usher-gateway 'settings of the gateway' >$@.new && mv -f $@.new $@
docs/man/usher-hostd.conf.5: usher-hostd$(EXEEXT) $(SETTINGS_PAGE)
	$(AM_V_GEN)mkdir -p docs/man && $(SETTINGS_PAGE) ./usher-hostd usher-hostd 'settings of a host: usher-hostd and usher-door' >$@.new && mv -f $@.new $@
