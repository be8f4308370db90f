# shellcheck shell=bash
# Usher's own daemons: their settings files (every key is in `PROGRAM --help-config`), start, and the host's joining.

written_by='# Written by Usher quickstart; a later run writes it anew.'

broker_settings() {
  put "$state/config/broker.conf" 0640 root:usher <<TEXT
$written_by
[broker]
name = $host_name
public_url = $url
api_socket = $state/run/api.sock
gateway_socket = $state/run/gateway.sock
socket_group = usher-edge
web_dir = $prefix/share/usher/web
spice_html5_dir = /usr/share/spice-html5
gateway_ca = $state/pki/ca.pem
gateway_certificate = $state/pki/gateway.pem

[database]
conninfo = host=$state/run/postgres dbname=usher user=usher_broker
owner_conninfo = host=$state/run/postgres dbname=usher user=usher_owner

[directory]
servers = ldapi://$(sed 's|/|%2F|g' <<<"$state/run/slapd/ldapi")
bind_dn = cn=usher,ou=services,dc=usher,dc=demo
bind_password_file = $state/config/directory.password
user_base = ou=people,dc=usher,dc=demo
group_base = ou=groups,dc=usher,dc=demo

[hosts]
listen = 127.0.0.1:$hosts_port
advertise_url = https://127.0.0.1:$hosts_port
ca_certificate = $state/pki/ca.pem
ca_key = $state/pki/ca.key
certificate = $state/pki/broker.pem
key = $state/pki/broker.key

[keys]
dir = $state/keys

[templates]
dir = $state/images
TEXT
}

gateway_settings() {
  local listen=127.0.0.1:$port
  [[ $address == localhost ]] || listen=*:$port
  put "$state/config/gateway.conf" 0640 root:usher-edge <<TEXT
$written_by
[gateway]
listen = $listen
public_url = $url
certificate = $state/pki/gateway.pem
key = $state/pki/gateway.key
api_socket = $state/run/api.sock
gateway_socket = $state/run/gateway.sock
TEXT
}

host_settings() {
  put "$state/config/hostd.conf" 0644 root:root <<TEXT
$written_by
[hostd]
name = $host_name
state_dir = $state
template_dir = $state/templates
run_dir = $state/run

[clones]
emulator = $prefix/libexec/usher/usher-emulator

[broker]
certificate = $state/host/host.pem
key = $state/host/host.key
ca = $state/host/ca.pem
grant_key = $state/host/grant.pub
identity = $state/host/host.json

[images]
shared = $state/images

[door]
listen = unix:$state/run/door.sock
TEXT
}

# daemon NAME SETTINGS-FILE WORDS…: checks the settings, starts it when it does not run, starts it anew when its
# program or its settings changed since.
daemon() {
  local name=$1 settings=$2
  shift 2
  if is_stale "$name" "$settings"; then
    progress "$name or its settings changed: restarting it"
    end "$name" TERM 15
  fi
  is_up "$name" || launch "$name" "$@"
}

program() { # NAME: its path
  local path=$prefix/sbin/$1
  [[ -x $path ]] || die "$path is not there: the build does not have it"
  printf '%s\n' "$path"
}

start_broker() {
  local broker
  broker=$(program usher-broker)
  broker_settings
  as usher "$broker" --config "$state/config/broker.conf"
  logged "${as_words[@]}" --check-config
  daemon broker "$state/config/broker.conf" "${as_words[@]}"
  wait_for_daemon broker 60 'the broker reaches database and directory' broker_is_ready
}

broker_is_ready() {
  curl -sf -m 5 --unix-socket "$state/run/api.sock" http://localhost/api/v1/health |
    jq -e '.database == "ok" and .directory == "ok"'
}

start_gateway() {
  local gateway as_options=()
  gateway=$(program usher-gateway)
  gateway_settings
  ((port >= 1024)) || as_options=(--inh-caps +net_bind_service --ambient-caps +net_bind_service)
  as usher-edge "$gateway" --config "$state/config/gateway.conf"
  logged "${as_words[@]}" --check-config
  is_up gateway || ! port_is_taken "$port" || die "port $port is taken by another program: choose one with --port"
  daemon gateway "$state/config/gateway.conf" "${as_words[@]}"
  wait_for_daemon gateway 30 'the gateway answers' api GET /health
}

start_host() {
  local hostd door
  hostd=$(program usher-hostd)
  door=$(program usher-door)
  host_settings
  logged "$hostd" --config "$state/config/hostd.conf" --check-config
  [[ -s $state/host/host.json ]] || join_host "$hostd"
  chgrp usher-edge "$state/host/host.json" "$state/host/grant.pub"
  chmod 640 "$state/host/host.json" "$state/host/grant.pub"
  daemon hostd "$state/config/hostd.conf" "$hostd" --config "$state/config/hostd.conf"
  as usher-edge "$door" --config "$state/config/hostd.conf"
  daemon door "$state/config/hostd.conf" "${as_words[@]}"
  wait_for_daemon door 20 'the door is open' test -S "$state/run/door.sock"
  wait_for_daemon hostd 60 "the broker has heard from host $host_name" host_is_up
}

# The token is good once and for a while; it is in a file, not in an argument list.
join_host() {
  local token=$state/config/join.token
  admin_apply host "$host_name" '{"mode": "active"}'
  admin_api POST "/records/host/$host_name/token" '{}' || die_with "$log_dir/broker.log" "no join token: $(api_error)"
  (umask 077 && jq -r .token <<<"$api_body" >"$token")
  logged "$1" join --config "$state/config/hostd.conf" --broker "https://127.0.0.1:$port" --token-file "$token" \
    --ca "$state/pki/ca.pem"
  rm -f "$token"
}

host_is_up() {
  admin_api GET "/records/host/$host_name" && [[ $(jq -r '.status | (.state // .phase // "")' <<<"$api_body") != @(|unknown|new|lost) ]]
}

# hostd goes first, so that it does not start again what is shut down.
stop_host() {
  stop_services hostd door
  shut_domains_down
}

# For reset: domains that were made and not yet started go too.
remove_domains() {
  local name started=''
  [[ -n $(find "$state/desktops" "$state/parents" -mindepth 1 -maxdepth 1 -print -quit 2>/dev/null) ]] || return 0
  if ! libvirt_answers; then start_libvirt; started=1; fi
  for name in $(our_domains); do
    virsh -q -c qemu:///system destroy "$name" >>"$log_dir/quickstart.log" 2>&1 || :
    # A parent has no definition that stays.
    [[ $name == usher-parent-* ]] || logged virsh -q -c qemu:///system undefine "$name" --nvram
  done
  [[ -z $started ]] || stop_libvirt
}
