# shellcheck shell=bash
# What quickstart says: one line a phase with elapsed time, something every few seconds while it goes on, and on failure the
# end of the log that tells why. Details go to $log_dir/quickstart.log.

began=$SECONDS

say() { printf '%s\n' "$*" >&2; }

die() {
  printf 'quickstart: %s\n' "$*" >&2
  exit 1
}

# die_with FILE MESSAGE: as die, with the last lines of FILE.
die_with() {
  local file=$1; shift
  printf 'quickstart: %s\n' "$*" >&2
  if [[ -s $file ]]; then
    printf 'The end of %s:\n' "$file" >&2
    tail -n 15 -- "$file" | sed 's/^/  | /' >&2
  fi
  exit 1
}

stamp() { printf '[%4d s] ' "$((SECONDS - began))" >&2; }

# phase NAME COMMAND…: runs it here (it may set variables and may die).
phase() {
  local name=$1; shift
  stamp
  say "$name"
  doing=$name
  "$@"
}

# progress TEXT: a line about the phase that is going on.
progress() { stamp; say "  $*"; }

# logged COMMAND…: its output goes to the log; dies with the end of it when it fails. A line every ten seconds.
logged() {
  local status=0 ticker
  # Killed in its sleep, that goes on for a while: it must not hold the lock that another quickstart waits for.
  ( [[ -z ${turn:-} ]] || exec {turn}>&-
    while sleep 10; do progress "$doing: still at it; $(tail -n 1 "$log_dir/quickstart.log" | cut -c 1-90)"; done ) &
  ticker=$!
  "$@" >>"$log_dir/quickstart.log" 2>&1 || status=$?
  kill "$ticker" 2>/dev/null || :
  wait "$ticker" 2>/dev/null || :
  [[ $status == 0 ]] || die_with "$log_dir/quickstart.log" "$doing: «$*» failed"
}

# wait_for SECONDS WHAT LOG COMMAND…: asks until COMMAND is true; dies with the end of LOG after SECONDS.
wait_for() {
  local limit=$((SECONDS + $1)) what=$2 file=$3 told=$((SECONDS + 5))
  shift 3
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < limit)) || die_with "$file" "$what: not within the time"
    if ((SECONDS >= told)); then
      progress "waiting: $what"
      told=$((SECONDS + 5))
    fi
    sleep 0.2
  done
}

# wait_for_daemon NAME SECONDS WHAT COMMAND…: as wait_for, and dies at once when the daemon has ended.
wait_for_daemon() {
  local name=$1 seconds=$2 what=$3
  shift 3
  wait_for "$seconds" "$what" "$log_dir/$name.log" ended_or "$name" "$@"
  is_up "$name" || die_with "$log_dir/$name.log" "$name ended"
}

ended_or() {
  local name=$1
  shift
  ! is_up "$name" || "$@"
}
