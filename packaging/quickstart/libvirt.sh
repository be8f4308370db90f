# shellcheck shell=bash
# libvirt is the machine's, not ours: what runs is used; on a machine with systemd its units are started; else its three
# daemons are started here, once for all instances, and ended when the last instance stops.

libvirt_shared=/run/usher-quickstart

libvirt_answers() { timeout 10 virsh -q -c qemu:///system version >/dev/null 2>&1; }

libvirt_pid() { # NAME: prints it when the daemon that we started runs
  local pid born
  { read -r pid born <"$libvirt_shared/$1.pid"; } 2>/dev/null || return 1
  [[ -n $born && $(start_time "$pid") == "$born" ]] && printf '%s\n' "$pid"
}

launch_libvirt() { # NAME SOCKET
  local name=$1 pid
  libvirt_pid "$name" >/dev/null && return
  ( cd / && exec {turn}>&- {shared_lock}>&- && exec setsid "$name" >>"$libvirt_shared/$name.log" 2>&1 ) &
  pid=$!
  disown "$pid"
  printf '%s %s\n' "$pid" "$(start_time "$pid")" >"$libvirt_shared/$name.pid"
  wait_for 20 "$name listens" "$libvirt_shared/$name.log" test -S "/run/libvirt/$2"
}

instance_mark() { printf '%s/instances/%s\n' "$libvirt_shared" "$(printf %s "$state" | sha256sum | cut -c 1-16)"; }

start_libvirt() {
  install -d -m 755 "$libvirt_shared/instances"
  exec {shared_lock}>"$libvirt_shared/lock"
  flock "$shared_lock"
  printf '%s\n' "$state" >"$(instance_mark)"
  if ! libvirt_answers; then
    if [[ -d /run/systemd/system ]]; then
      logged systemctl start libvirtd.service
    else
      # virtlogd first: without it no domain starts.
      rm -f /run/libvirt/{virtlogd,virtlockd,libvirt}-sock
      launch_libvirt virtlogd virtlogd-sock
      launch_libvirt virtlockd virtlockd-sock
      launch_libvirt libvirtd libvirt-sock
    fi
    wait_for 30 'libvirt answers' "$libvirt_shared/libvirtd.log" libvirt_answers
  fi
  exec {shared_lock}>&-
  # Guests without it still work: QEMU's own user-mode network then serves them.
  if ! grep -q '^Active: *yes' <<<"$(virsh -q -c qemu:///system net-info default 2>/dev/null)"; then
    virsh -q -c qemu:///system net-start default >>"$log_dir/quickstart.log" 2>&1 ||
      progress "libvirt's default network could not be started: guests get user-mode networking"
  fi
}

# Ends the three that we started, when no other instance and no domain needs them.
stop_libvirt() {
  [[ -d $libvirt_shared ]] || return 0
  local name pid
  exec {shared_lock}>"$libvirt_shared/lock"
  flock "$shared_lock"
  rm -f "$(instance_mark)"
  if [[ -z $(ls -A "$libvirt_shared/instances") ]] && libvirt_pid libvirtd >/dev/null; then
    if libvirt_answers && [[ -n $(virsh -q -c qemu:///system list --name) ]]; then
      progress 'libvirt goes on: it runs domains that are not ours'
    else
      virsh -q -c qemu:///system net-destroy default >>"$log_dir/quickstart.log" 2>&1 || :
      for name in libvirtd virtlockd virtlogd; do
        if pid=$(libvirt_pid "$name"); then
          kill "$pid" 2>/dev/null || :
          wait_for 20 "$name ends" "$libvirt_shared/$name.log" eval "! libvirt_pid $name"
        fi
        rm -f "$libvirt_shared/$name.pid"
      done
    fi
  fi
  exec {shared_lock}>&-
}

# our_domains: the names of this instance's domains, running or not: desktops, and parents that boot. Their disks say whose they are.
our_domains() {
  local name disks
  virsh -q -c qemu:///system list --all --name 2>/dev/null | grep '^usher-' | while read -r name; do
    disks=$(virsh -q -c qemu:///system domblklist "$name" 2>/dev/null)
    if [[ $disks == *" $state/desktops/"* || $disks == *" $state/parents/"* ]]; then printf '%s\n' "$name"; fi
  done
  return 0
}

# Asks every running desktop to shut down, waits, then turns off what is left. A parent that boots is nobody's work: it just ends.
shut_domains_down() {
  local name limit=$((SECONDS + 90)) running told=$((SECONDS + 5)) how
  libvirt_answers || return 0
  for name in $(our_domains); do
    how=shutdown
    [[ $name != usher-parent-* ]] || how=destroy
    virsh -q -c qemu:///system "$how" "$name" >>"$log_dir/quickstart.log" 2>&1 || :
  done
  while running=$(running_domains) && [[ -n $running ]]; do
    if ((SECONDS >= limit)); then
      for name in $running; do virsh -q -c qemu:///system destroy "$name" >>"$log_dir/quickstart.log" 2>&1 || :; done
    elif ((SECONDS >= told)); then
      progress "desktops that still shut down: $(wc -w <<<"$running")"
      told=$((SECONDS + 5))
    fi
    sleep 0.3
  done
}

running_domains() {
  local name
  for name in $(our_domains); do
    [[ $(virsh -q -c qemu:///system domstate "$name" 2>/dev/null) == 'shut off' ]] || printf '%s\n' "$name"
  done
}
