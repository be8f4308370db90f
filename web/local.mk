# The pages as they are served: no build step. The broker's setting names the folder they are in.
webdir = $(pkgdatadir)/web
webjsdir = $(webdir)/js
EXTRA_DIST += web/package.json web/README.md
dist_web_DATA = web/index.html web/desktop.html web/style.css web/desktop.css web/logo.svg
dist_webjs_DATA = \
	web/js/api.js \
	web/js/client.js \
	web/js/confirm.js \
	web/js/desktop.js \
	web/js/desktops.js \
	web/js/dom.js \
	web/js/geometry.js \
	web/js/keyboard.js \
	web/js/pointer.js \
	web/js/portal.js \
	web/js/session.js \
	web/js/signin.js \
	web/js/signout.js \
	web/js/spice.js \
	web/js/texts.js \
	web/js/viewer.js \
	web/js/watch.js
