# shellcheck shell=bash
# What every recipe shares: phases with elapsed time, a working folder that goes away whatever happens, Debian
# packages unpacked from a cache, and the finished version put in place by one rename.
#
# A recipe sources this and calls, in order: recipe_begin, its phases, recipe_finish. Versions are never
# changed: desktops stand on them. A recipe that differs from the newest version's makes the next version.

# recipe_root (this folder's parent) and recipe_options (what else decides the result) are the recipe's to set.
: "${recipe_root:?}" "${recipe_options:?}"
recipe_started=$SECONDS
recipe_work=

recipe_die() { printf '%s: %s\n' "${recipe_name:-recipe}" "$*" >&2; exit 1; }

# One line a phase, with the seconds since the start; the phase's own output goes to $recipe_log.
phase() { printf '[%4ds] %s: %s\n' $((SECONDS - recipe_started)) "$recipe_name" "$*"; }

# run COMMAND…: quietly; on failure show the end of the log and stop.
run() {
  if ! "$@" >>"$recipe_log" 2>&1; then
    printf '%s: «%s» failed; the end of %s:\n' "$recipe_name" "$*" "$recipe_log" >&2
    tail -n 20 "$recipe_log" | sed 's/^/  | /' >&2
    cp "$recipe_log" "$recipe_out/$recipe_name.failed.log"
    printf '%s: the whole log is %s\n' "$recipe_name" "$recipe_out/$recipe_name.failed.log" >&2
    exit 1
  fi
}

# run_shown WHAT COMMAND…: as run; every ten seconds a line with what the command WHAT says of how far it has come.
run_shown() {
  local what=$1; shift
  ( while sleep 10; do phase "  $("$what")"; done ) &
  local ticker=$!
  run "$@"
  kill "$ticker" 2>/dev/null
  wait "$ticker" 2>/dev/null || :
}

# remove_work FOLDER: removes a working folder, never what is mounted in it: a system that is being installed has the machine's
# own /sys and /dev there. With a mount in it the folder stays, and is named.
remove_work() {
  if awk -v dir="$1/" 'index ($5, dir) == 1 { found = 1 } END { exit !found }' /proc/self/mountinfo; then
    printf '%s: something is mounted below %s: it is left there\n' "$recipe_name" "$1" >&2
    return 0
  fi
  rm -rf --one-file-system -- "$1"
}

recipe_clean() {
  local status=$?
  # shellcheck disable=SC2046  # a list of ids
  kill $(jobs -p) 2>/dev/null || :
  [[ -z $recipe_work ]] || remove_work "$recipe_work"
  return $status
}

# A stable name of what would be built: every file of the recipe, of what it shares, and its options.
recipe_hash() {
  { find "$@" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sed "s|$recipe_root/||"
    printf '%s\n' "$recipe_options"; } | sha256sum | cut -d' ' -f1
}

recipe_newest_version() {
  local newest=0 path version
  for path in "$recipe_out/$recipe_name"/*/manifest.json; do
    version=$(basename "$(dirname "$path")")
    [[ $version =~ ^[0-9]+$ ]] && ((version > newest)) && newest=$version
  done
  printf '%s\n' "$newest"
}

recipe_usage() {
  cat <<TEXT
usage: templates/$recipe_name/build OUTDIR [--rebuild] [--cache DIR] [OPTION=VALUE…]
Makes OUTDIR/$recipe_name/VERSION/, unless the newest version there came from this very recipe.
  --rebuild    make a new version all the same (for newer packages)
  --cache DIR  where downloaded packages are kept (OUTDIR/.cache)
TEXT
}

# recipe_begin NAME FOLDERS… -- ARGUMENTS…: reads the command line, exits 0 when there is nothing to do, else makes the
# working folder. Sets recipe_out, recipe_cache, recipe_version, recipe_work, recipe_log. FOLDERS count for the hash.
recipe_begin() {
  recipe_name=$1; shift
  local folders=() rebuild=''
  umask 022
  while [[ $1 != -- ]]; do folders+=("$1"); shift; done
  shift
  recipe_out='' recipe_cache=''
  while (($#)); do
    case $1 in
      --rebuild) rebuild=1 ;;
      --cache) shift; recipe_cache=${1:?--cache needs a folder} ;;
      -h | --help) recipe_usage; exit 0 ;;
      -*) recipe_usage >&2; recipe_die "unknown option $1" ;;
      *) [[ -z $recipe_out ]] || recipe_die "one OUTDIR, please: $1"; recipe_out=$1 ;;
    esac
    shift
  done
  [[ -n $recipe_out ]] || { recipe_usage >&2; exit 2; }
  mkdir -p -- "$recipe_out"
  recipe_out=$(realpath -- "$recipe_out")
  recipe_cache=$(realpath -m -- "${recipe_cache:-$recipe_out/.cache}")
  recipe_hash=$(recipe_hash "${folders[@]}")
  # One build of a template at a time; who waited may find it done.
  exec {recipe_lock}>"$recipe_out/.$recipe_name.lock"
  flock -n "$recipe_lock" || { phase "another build of it is under way: waiting"; flock "$recipe_lock"; }
  local newest
  newest=$(recipe_newest_version)
  if [[ -z $rebuild && $newest != 0 && $(cat "$recipe_out/$recipe_name/$newest/recipe" 2>/dev/null) == "$recipe_hash" ]]; then
    printf '%s/%s is built already\n' "$recipe_name" "$newest"
    exit 0
  fi
  recipe_version=$((newest + 1))
  trap recipe_clean EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  local left   # by a build that was killed: we hold its lock
  for left in "$recipe_out/.building-$recipe_name".*; do [[ ! -e $left ]] || remove_work "$left"; done
  recipe_work=$(mktemp -d "$recipe_out/.building-$recipe_name.XXXXXX")
  mkdir -- "$recipe_work/version"
  recipe_log=$recipe_work/log
  : >"$recipe_log"
}

# fetch PACKAGE…: makes sure the candidate .deb of each is in the cache; prints their paths.
fetch() {
  mkdir -p -- "$recipe_cache/debs"
  local package uri file
  for package; do
    # 'URI' FILE SIZE HASH
    read -r uri file _ < <(apt-get download --print-uris "$package" 2>>"$recipe_log") ||
      recipe_die "apt knows no package $package: run apt-get update"
    if [[ ! -s $recipe_cache/debs/$file ]]; then
      : "$uri"
      (cd "$recipe_work" && run apt-get -q -o APT::Sandbox::User=root download "$package") || exit 1
      mv -- "$recipe_work/$file" "$recipe_cache/debs/$file"
    fi
    printf '%s\n' "$recipe_cache/debs/$file"
  done
}

# The package that linux-image-amd64 stands for now, e.g. linux-image-6.1.0-56-amd64.
kernel_package() {
  apt-cache depends --important linux-image-amd64 | sed -n 's/^ *Depends: \(linux-image-[0-9].*\)$/\1/p' | head -n 1
}

sha256_of() { sha256sum -- "$1" | cut -d' ' -f1; }
virtual_size_of() { qemu-img info --output=json -- "$1" | jq '."virtual-size"'; }

# install_guest ROOT: what a host runs in every Linux guest, below ROOT/usr/lib/usher. The one compiled program is made here,
# unless an installed Usher brought it along.
install_guest() {
  local goal=$1/usr/lib/usher guest=$recipe_root/guest
  mkdir -p -- "$goal"
  if [[ -x $guest/identity ]]; then
    install -m 755 "$guest/identity" "$goal/identity"
  else
    [[ -n $(command -v cc) && -e /usr/include/sodium.h ]] ||
      recipe_die "needs a C compiler and libsodium for templates/guest/identity.c: apt-get install gcc libc6-dev libsodium-dev"
    run cc -std=gnu11 -D_GNU_SOURCE -Os -s -static -ffunction-sections -fdata-sections -Wl,--gc-sections -I "$recipe_root/.." \
      -o "$goal/identity" "$guest"/*.c -lsodium
  fi
  install -m 755 "$guest/identity-later" "$guest/data-disk" "$goal/"
}

# seal ROOT: takes out what no two machines may share, and stops the build when something of it is left. Sets recipe_sealed,
# a JSON array of the steps.
seal() {
  local left
  # shellcheck disable=SC2034  # the recipe reads it
  recipe_sealed=$("$recipe_root/seal/run" "$1" | jq -R . | jq -sc .)
  left=$("$recipe_root/seal/check" "$1") || recipe_die "sealing left this:"$'\n'"$left"
}

# recipe_finish: $recipe_work/version holds the files and manifest.json; puts them in place.
recipe_finish() {
  printf '%s\n' "$recipe_hash" >"$recipe_work/version/recipe"
  chmod -R u=rwX,go=rX -- "$recipe_work/version"
  chmod 444 -- "$recipe_work/version"/*
  mkdir -p -- "$recipe_out/$recipe_name"
  chmod 755 -- "$recipe_out/$recipe_name"
  sync -f "$recipe_work/version"
  mv -T -- "$recipe_work/version" "$recipe_out/$recipe_name/$recipe_version"
  phase "done: $recipe_out/$recipe_name/$recipe_version ($(du -sh "$recipe_out/$recipe_name/$recipe_version" | cut -f1))"
}
