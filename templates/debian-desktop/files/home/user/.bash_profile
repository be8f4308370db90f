[ -f ~/.bashrc ] && . ~/.bashrc
if [ "$(tty)" = /dev/tty1 ] && [ -z "$DISPLAY" ]; then
  exec startx /usr/lib/usher/session -- vt1 -keeptty -nolisten tcp > ~/.xsession-errors 2>&1
fi
