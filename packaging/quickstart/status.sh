# shellcheck shell=bash
# What runs, for people and as JSON.

daemon_names=(postgres slapd broker gateway hostd door)

accounts_json() {
  grep -v '^#' "$top/packaging/demo-directory/people.tsv" | jq -R 'split("\t") | {user: .[0], password: .[3], may: .[4]}' | jq -s .
}

daemons_json() {
  local name
  for name in "${daemon_names[@]}"; do
    if is_up "$name"; then printf '{"%s": true}' "$name"; else printf '{"%s": false}' "$name"; fi
  done | jq -s add
}

# list KIND MEMBERS: records as name, state and what else is asked for; [] when the broker cannot be asked.
list_json() {
  if is_up gateway && admin_api GET "/records/$1"; then jq "[.items[] | $2]" <<<"$api_body"; else echo '[]'; fi
}

status_json() {
  local pools='[]' desktops='[]' health='{}' daemons
  daemons=$(daemons_json)
  if [[ $(jq .gateway <<<"$daemons") == true ]]; then
    api GET /health && health=$api_body
    pools=$(list_json pool '{name, template: .spec.template, spares: .spec.spares, maximum: .spec.maximum, status}')
    desktops=$(list_json desktop '{id, name, pool: (.spec.pool // .status.pool), state: .status.state, reason: (.status.reason // "")}')
  fi
  jq -n --arg portal "$url" --arg state_dir "$state" --arg ca "$state/pki/ca.pem" --arg template "$template" \
    --argjson accounts "$(accounts_json)" --argjson pools "$pools" --argjson desktops "$desktops" \
    --argjson daemons "$daemons" --argjson health "$health" '{
      ready: (([$daemons[]] | all) and any($desktops[]; .state == "spare" or .state == "assigned")
              and $health.database == "ok" and $health.directory == "ok"),
      portal: $portal, accounts: $accounts, pools: $pools, desktops: $desktops,
      state_dir: $state_dir, ca: $ca, template: $template, daemons: $daemons, health: $health}'
}

show_status() {
  local status
  status=$(status_json)
  jq -r --arg state "$state" '
    def row(a; b): "  \(a)\(" " * ([14 - (a | length), 1] | max))\(b)";
    (if .ready then "Usher is ready.\n\nOpen  \(.portal)  in a browser"
     elif ([.daemons[]] | any) then "Usher is not ready.\n\nPortal  \(.portal)"
     else "Usher is not running.  ./quickstart starts it.\n\nPortal  \(.portal)" end),
    "  (its certificate is signed by \(.ca): import that, or accept the warning)",
    "",
    "Sign in as",
    (.accounts[] | select(.user | IN("alice", "bob", "carol", "admin"))
     | row(.user; "\(.password)\(" " * ([14 - (.password | length), 1] | max))\({desktop: "has a desktop", nothing: "may sign in, has none and reads why", administer: "administers"}[.may] // .may)")),
    "  and \((.accounts | length) - 4) more: packaging/demo-directory/people.tsv",
    "",
    "Running",
    row("daemons"; [.daemons | to_entries[] | if .value then .key else "\(.key) (NOT running)" end] | join(", ")),
    (.desktops[] | row(.name; .state + (if .reason != "" then ": " + .reason else "" end))),
    "",
    "Next",
    "  in the portal:   Open here, or download the viewer file and open it with remote-viewer",
    "  administration:  \($state)/prefix/bin/usherctl --help",
    "  logs:            \($state)/log     settings: \($state)/config",
    "  ./quickstart status | stop | reset"' <<<"$status"
}
