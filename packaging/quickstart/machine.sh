# shellcheck shell=bash
# What the machine must have: packages, programs, system accounts, folders.

# Lines of packaging/packages/*.list: PACKAGE [COMMAND]; with COMMAND present the package is not asked for.
missing_packages() {
  local package program
  while read -r package program; do
    if [[ -n $program ]] && command -v "$program" >/dev/null; then continue; fi
    [[ $(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null) == ii* ]] || printf '%s\n' "$package"
  done < <(sed -E 's/#.*//; /^[[:space:]]*$/d' "$top"/packaging/packages/{run,build}.list)
}

policy=/usr/sbin/policy-rc.d   # what Debian's packages ask whether they may start their daemons
policy_mark='by Usher quickstart'

no_policy() { if grep -qs "$policy_mark" "$policy"; then rm -f "$policy"; fi; }

# Debian's packages start their daemons when they are put in, and at the next boot. Ours are private, so a policy says no
# meanwhile, and what came in with them is not enabled. libvirt's are started later, when none runs.
install_packages() {
  local wanted
  no_policy   # one that was killed may have left it
  mapfile -t wanted < <(missing_packages)
  ((${#wanted[@]})) || return 0
  [[ -n $packages ]] || die "not installed: ${wanted[*]} (leave out --no-packages)"
  progress "installing ${#wanted[@]} packages and what they need"
  trap 'no_policy; failed_at 1' EXIT
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\n# Put here %s while it installs packages.\nexit 101\n' "$policy_mark" >"$policy"
    chmod 755 "$policy"
  fi
  logged apt-get -q -o DPkg::Lock::Timeout=300 update
  logged apt-get -q -y -o DPkg::Lock::Timeout=300 --no-install-recommends install "${wanted[@]}"
  no_policy
  trap 'failed_at $?' EXIT
  [[ ! -d /run/systemd/system || " ${wanted[*]} " != *' slapd '* ]] || logged systemctl disable slapd.service
  [[ ! -d /run/systemd/system || " ${wanted[*]} " != *' postgresql-15 '* ]] || logged systemctl disable postgresql.service
}

# Built as root where the source is; installed under the state directory, where the daemons' accounts can reach
# it. An unchanged file is left alone, so that nothing is restarted for it.
build_programs() {
  mkdir -p "$build_dir"
  exec {build_lock}>"$build_dir/.quickstart.lock"
  flock "$build_lock"
  [[ -x $top/configure && ! $top/configure.ac -nt $top/configure ]] || (cd "$top" && logged autoreconf -fi)
  [[ -e $build_dir/config.status ]] || (cd "$build_dir" && logged "$top/configure" -q --prefix=/usr/local)
  # What is installed and nothing else: test and fuzz programs are not for here.
  logged make -s -C "$build_dir" -j "$(nproc)" noinst_PROGRAMS=
  logged make -s -C "$build_dir" install noinst_PROGRAMS= prefix="$prefix" INSTALL='/usr/bin/install -C'
  exec {build_lock}>&-
}

make_user() { # NAME COMMENT
  id -u "$1" >/dev/null 2>&1 ||
    logged useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin --comment "$2" "$1"
}

folder() { install -d -m "$2" -o "${3%:*}" -g "${3#*:}" "$state/$1"; }   # PATH MODE OWNER:GROUP

# Who may write where: postgres and openldap (Debian's accounts) their own data, usher the broker's keys, usher-edge what
# faces strangers and almost nothing else. The broker gives the gateway's sockets to the group usher-edge.
make_ground() {
  make_user usher 'Usher broker'
  make_user usher-edge 'Usher gateway and door'
  [[ " $(id -nG usher) " == *' usher-edge '* ]] || logged usermod -a -G usher-edge usher
  folder config 755 root:root
  folder pids 755 root:root
  folder pki 755 root:root
  folder keys 700 usher:usher
  folder host 750 root:usher-edge
  folder postgres 700 postgres:postgres
  folder images 755 usher:usher
  folder templates 755 root:root
  folder desktops 711 root:root
  folder run 1771 usher:usher-edge
  folder run/consoles 750 root:usher-edge
  folder run/postgres 755 postgres:postgres
  folder run/slapd 755 openldap:openldap
  keep_instance
  make_pki
}

# Built into the cache while the programs are compiled (a few minutes the first time).
begin_template() {
  mkdir -p "$cache_dir/templates" "$cache_dir/downloads"
  "$top/templates/$template/build" "$cache_dir/templates" --cache "$cache_dir/downloads" >"$log_dir/template.log" 2>&1 {turn}>&- &
  template_pid=$!
}

# Waits for it, then gives it to the broker as any administrator would; what is there already is not sent again. It is published
# the first time only, so that a rollback stays.
provide_template() {
  local newest answer record
  tail -n +1 -s 0.5 --pid="$template_pid" -f "$log_dir/template.log" | sed -u 's/^/         /' >&2
  wait "$template_pid" || die_with "$log_dir/template.log" "template $template could not be built"
  newest=$(find "$cache_dir/templates/$template" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort -n | tail -n 1)
  [[ -n $newest ]] || die_with "$log_dir/template.log" "no version of $template in $cache_dir/templates"
  ctl_sign_in
  answer=$(usherctl template import "$cache_dir/templates/$template/$newest" --note "Made by templates/$template" -o json) ||
    die "template $template did not come to the broker"
  template_version=$(jq .version <<<"$answer")
  record=$(usherctl get template-version "$template.$template_version" -o json) || die "template $template/$template_version is not on record"
  template_default=$(jq -c .spec.manifest.default <<<"$record")
  [[ $(jq -r .status.published_at <<<"$record") == null ]] || return 0
  usherctl template publish "$template" "$template_version" >>"$log_dir/quickstart.log" || die "template $template is not published"
  progress "published $template/$template_version"
}
