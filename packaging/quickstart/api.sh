# shellcheck shell=bash
# The administrators' API, through the gateway as anybody would use it. Answers land in api_status and api_body.

# api METHOD PATH [BODY [CURL-ARGUMENT…]]: true when the status is 2xx.
api() {
  local method=$1 path=$2 body=${3:-} answer data=()
  shift $(($# > 3 ? 3 : $#))
  [[ -z $body ]] || data=(-H 'Content-Type: application/json' --data-binary @-)
  answer=$(curl -sS -m 30 --cacert "$state/pki/ca.pem" --resolve "$address:$port:127.0.0.1" -X "$method" \
    -w '\n%{http_code}' "$@" "${data[@]}" "$url/api/v1$path" <<<"$body" 2>&1) || :
  api_status=${answer##*$'\n'}
  api_body=${answer%$'\n'*}
  [[ $api_status == 2?? ]]
}

api_error() { jq -r '.error.message // "status '"$api_status"'"' <<<"$api_body" 2>/dev/null || printf '%s\n' "$api_body"; }

demo_password() { awk -F '\t' -v name="$1" '!/^#/ && $1 == name { print $4 }' "$top/packaging/demo-directory/people.tsv"; }

# As the demo directory's administrator; signs in when there is no session or it is over.
admin_api() {
  local jar=$state/config/admin.cookies
  if [[ -s $jar ]]; then
    api "$1" "$2" "${3:-}" -b "$jar" && return
    [[ $api_status == 401 ]] || return 1
  fi
  (umask 077 && : >"$jar")
  api POST /signin "$(jq -n --arg password "$(demo_password admin)" '{user: "admin", password: $password}')" -c "$jar" || return 1
  api "$1" "$2" "${3:-}" -b "$jar"
}

# admin_apply KIND NAME SPEC: makes the record when there is none; what an administrator changed since is left alone.
admin_apply() {
  admin_api GET "/records/$1/$2" && return
  [[ $api_status == 404 ]] || die_with "$log_dir/broker.log" "cannot look for $1 $2: $(api_error)"
  admin_api PUT "/records/$1/$2" "{\"spec\": $3}" || die_with "$log_dir/broker.log" "cannot make $1 $2: $(api_error)"
  progress "made $1 $2"
}

# A pool on the template, and who may use it.
apply_records() {
  admin_apply pool desktop "$(jq --arg template "$template" '{display_name: "Desktop", description: "A Linux desktop of your own",
    template: $template, spares: 1, maximum: 10, vcpus: .vcpus, ram_mib: .ram_mib, naming: "desktop-{n}"}' <<<"$template_default")"
  admin_apply entitlement desktop-users '{"pool": "desktop", "group": "cn=desktop-users,ou=groups,dc=usher,dc=demo"}'
}

# usherctl with a sign-in of its own, beside the instance's settings.
usherctl() { XDG_CONFIG_HOME=$state/config "$prefix/bin/usherctl" "$@"; }

ctl_sign_in() {
  usherctl whoami >/dev/null 2>&1 || usherctl signin admin --server "https://127.0.0.1:$port" --ca "$state/pki/ca.pem" \
    --password-file - <<<"$(demo_password admin)" >>"$log_dir/quickstart.log" || die 'usherctl cannot sign in'
}

# Every desktop record, as a JSON array.
desktops() { admin_api GET /records/desktop && jq -c '.items' <<<"$api_body"; }

# Why there is no desktop: the pool's own word for it.
pool_reason() {
  admin_api GET /records/pool/desktop || { printf 'could not ask: %s\n' "$(api_error)"; return; }
  jq -r '.status | if (.reason // "") != "" then "none yet: " + .reason
    elif (.failures // 0) > 0 then "none yet; attempts that failed: \(.failures)" else "the broker plans it" end' <<<"$api_body"
}

wait_for_desktop() {
  local limit=$((SECONDS + 900)) told=0 items waiting spares
  admin_api GET /records/pool/desktop && spares=$(jq .spec.spares <<<"$api_body")
  while ((SECONDS < limit)); do
    if items=$(desktops); then
      jq -e 'any(.[].status.state; . == "spare" or . == "assigned")' <<<"$items" >/dev/null && return
      if [[ ${spares:-1} == 0 && $items == '[]' ]]; then
        progress 'the pool keeps no spare: the first desktop is made when somebody asks'
        return
      fi
      waiting=$(jq -r '[.[] | ([.status.seen_reason, .status.reason] | map(select(. // "" | . != "")) | first // "") as $why |
        "\(.name): \(.status.state)\(if $why != "" then " (\($why))" else "" end)"] | join(", ")' <<<"$items")
      [[ -n $waiting ]] || waiting=$(pool_reason)
    else
      waiting="could not ask: $(api_error)"
    fi
    if ((SECONDS >= told)); then
      progress "$waiting"
      told=$((SECONDS + 10))
    fi
    is_up hostd || die_with "$log_dir/hostd.log" 'hostd ended'
    is_up broker || die_with "$log_dir/broker.log" 'the broker ended'
    sleep 0.5
  done
  die_with "$log_dir/hostd.log" "no desktop within 15 minutes; the last word: $waiting"
}
