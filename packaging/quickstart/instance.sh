# shellcheck shell=bash
# One instance: where its state is, its ports and names. What the first start chose is kept in config/instance
# (NAME=VALUE lines), so that later commands need only --state-dir.

read_command_line() {
  command=start state=/var/lib/usher json='' yes='' packages=yes
  local given_port='' given_address='' given_template='' given_build='' given_cache=''
  while (($#)); do
    case $1 in
      start | status | stop | reset) command=$1 ;;
      --json) json=1 ;;
      --yes) yes=1 ;;
      --no-packages) packages='' ;;
      --state-dir | --port | --address | --template | --build-dir | --cache-dir)
        (($# > 1)) || die "$1 needs a value"
        case $1 in
          --state-dir) state=$2 ;;
          --port) given_port=$2 ;;
          --address) given_address=$2 ;;
          --template) given_template=$2 ;;
          --build-dir) given_build=$2 ;;
          --cache-dir) given_cache=$2 ;;
        esac
        shift ;;
      -h | --help) usage; exit 0 ;;
      *) usage >&2; die "unknown: $1" ;;
    esac
    shift
  done
  [[ $EUID == 0 ]] || die 'must run as root: it installs packages, makes system accounts and runs virtual machines'
  state=$(realpath -m -- "$state")
  [[ $state =~ ^/[A-Za-z0-9._/+-]+$ && $state != / ]] || die "--state-dir $state: letters, digits and ._+- only, please"
  log_dir=$state/log prefix=$state/prefix
  # What an earlier start chose; the command line wins.
  port='' address='' template='' build_dir='' cache_dir='' hosts_port='' host_name=''
  if [[ -e $state/config/instance ]]; then
    local name value
    while IFS='=' read -r name value; do
      [[ $name =~ ^(port|address|template|build_dir|cache_dir|hosts_port|host_name)$ ]] && printf -v "$name" %s "$value"
    done <"$state/config/instance"
  fi
  [[ -z $given_port || -z $port || $given_port == "$port" ]] || die "this instance has port $port: reset it to change that"
  [[ -z $given_address || -z $address || $given_address == "$address" ]] ||
    die "this instance's address is $address: reset it to change that"
  port=${given_port:-${port:-8443}} address=${given_address:-${address:-localhost}}
  template=${given_template:-${template:-debian-desktop}}
  build_dir=$(realpath -m -- "${given_build:-${build_dir:-$top/build}}")
  cache_dir=$(realpath -m -- "${given_cache:-${cache_dir:-/var/cache/usher}}")
  [[ $port =~ ^[1-9][0-9]{0,4}$ && $port -lt 65536 ]] || die "--port $port: not a port"
  [[ $address =~ ^[A-Za-z0-9.-]+$ ]] || die "--address $address: not a host name or IPv4 address"
  [[ -x $top/templates/$template/build ]] || die "--template $template: there is no recipe templates/$template"
  url=https://$address:$port
}

# Writes down what later commands must know; chooses what is not chosen yet.
keep_instance() {
  if [[ -z $hosts_port ]]; then
    hosts_port=$((port + 1))
    while port_is_taken "$hosts_port"; do hosts_port=$((hosts_port + 1)); done
  fi
  if [[ -z $host_name ]]; then
    host_name=$(uname -n | tr '[:upper:]' '[:lower:]' | sed 's/\..*//; s/[^a-z0-9-]/-/g; s/^-*//; s/-*$//' | cut -c 1-63)
    host_name=${host_name:-host}
  fi
  printf '%s=%s\n' port "$port" address "$address" template "$template" build_dir "$build_dir" cache_dir "$cache_dir" \
    hosts_port "$hosts_port" host_name "$host_name" | put "$state/config/instance" 0644 root:root
}

port_is_taken() { [[ -n $(ss -Hltn "sport = :$1") ]]; }

# put FILE MODE OWNER: standard input becomes FILE, by rename, unless it says that already; then FILE keeps its time.
put() {
  local file=$1 mode=$2 owner=$3
  cat >"$file.new"
  chown "$owner" "$file.new"
  chmod "$mode" "$file.new"
  if cmp -s "$file.new" "$file"; then rm -f "$file.new"; else mv -f "$file.new" "$file"; fi
}

# in_turn COMMAND: one quickstart at a time on one state directory.
in_turn() {
  mkdir -p "$(dirname "$state")"
  exec {turn}>"$(dirname "$state")/.$(basename "$state").lock"
  flock -n "$turn" || { say "another quickstart works on $state: waiting for it"; flock "$turn"; }
  if [[ $command == start ]]; then
    install -d -m 711 "$state"
    install -d -m 755 "$log_dir"
  fi
  trap 'failed_at $?' EXIT
  "$1"
  trap - EXIT
  [[ $command != reset ]] || rm -f -- "$(dirname "$state")/.$(basename "$state").lock"
}

failed_at() {
  # shellcheck disable=SC2046  # a list of ids: the ticker of a phase that died
  kill $(jobs -p) 2>/dev/null || :
  [[ $1 == 0 ]] || say "quickstart did not finish (${doing:-start}). Run it again to go on from there."
}
