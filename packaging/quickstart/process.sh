# shellcheck shell=bash
# Daemons as plain processes, each known by pids/NAME («PID START-TIME»: a number used again is not taken for
# it). systemd is not needed, so that a container can run all of this too.

# start_time PID: clock ticks since boot at which it started; nothing when it is gone or a zombie.
start_time() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  stat=${stat##*) }
  [[ $stat != Z* ]] || return 1
  # shellcheck disable=SC2086  # fields
  set -- $stat
  printf '%s\n' "${20}"
}

# pid_of NAME: prints it when the daemon runs.
pid_of() {
  local pid born
  { read -r pid born <"$state/pids/$1"; } 2>/dev/null || return 1
  [[ -n $born && $(start_time "$pid") == "$born" ]] || return 1
  printf '%s\n' "$pid"
}

is_up() { pid_of "$1" >/dev/null; }

# Whether the program that a daemon runs was replaced since, or its settings (FILE…) are newer than it.
is_stale() {
  local name=$1 pid file
  shift
  pid=$(pid_of "$name") || return 1
  [[ $(readlink "/proc/$pid/exe") != *' (deleted)' ]] || return 0
  for file; do [[ ! $file -nt $state/pids/$name ]] || return 0; done
  return 1
}

# launch NAME COMMAND…: starts it in a session of its own; output to log/NAME.log.
launch() {
  local name=$1 pid
  shift
  printf -- '--- %s: started by quickstart\n' "$(date -u +%FT%TZ)" >>"$log_dir/$name.log"
  ( cd / && exec {turn}>&- && exec setsid "$@" >>"$log_dir/$name.log" 2>&1 ) &
  pid=$!
  disown "$pid"
  printf '%s %s\n' "$pid" "$(start_time "$pid")" >"$state/pids/$name.new"
  mv -f "$state/pids/$name.new" "$state/pids/$name"
}

as_options=()   # more for setpriv, e.g. a capability

# as USER COMMAND…: the words of a command line that runs COMMAND as USER (with its groups), and keeps the pid.
as() {
  local user=$1
  shift
  as_words=(setpriv --reuid "$user" --regid "$(id -g "$user")" --init-groups "${as_options[@]}" --no-new-privs "$@")
}

# end NAME SIGNAL SECONDS: asks, then insists.
end() {
  local name=$1 signal=$2 limit=$((SECONDS + $3)) pid told=$((SECONDS + 5))
  if pid=$(pid_of "$name"); then
    kill -s "$signal" "$pid" 2>/dev/null || :
    while is_up "$name"; do
      if ((SECONDS >= limit)); then
        progress "$name did not end: killing it"
        kill -s KILL "$pid" 2>/dev/null || :
      elif ((SECONDS >= told)); then
        progress "waiting for $name to end"
        told=$((SECONDS + 5))
      fi
      sleep 0.1
    done
  fi
  rm -f "$state/pids/$name"
}

stop_services() {
  local name
  for name; do
    case $name in
      postgres) end postgres INT 60 ;;   # «fast»: sessions are ended, everything is written
      gateway) end gateway INT 10 ;;
      *) end "$name" TERM 20 ;;
    esac
  done
}
