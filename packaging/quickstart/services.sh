# shellcheck shell=bash
# The private PostgreSQL and the private demo directory: unix sockets only, people's accounts of the machine as identities.

pg_bin() { printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1; }

as_postgres() {
  as postgres "$@"
  (cd / && "${as_words[@]}")
}

psql_as_superuser() { as_postgres psql -X -q -v ON_ERROR_STOP=1 -h "$state/run/postgres" -U postgres -d postgres "$@"; }

# The machine's account says who one is (peer); the map says which role that may be. No password exists.
database_settings() {
  local data=$state/postgres/data
  put "$data/postgresql.auto.conf" 0600 postgres:postgres <<TEXT
# Written by Usher quickstart.
listen_addresses = ''
unix_socket_directories = '$state/run/postgres'
unix_socket_permissions = 0777
max_connections = 200
shared_buffers = 64MB
password_encryption = 'scram-sha-256'
log_destination = 'stderr'
logging_collector = off
TEXT
  put "$data/pg_hba.conf" 0600 postgres:postgres <<'TEXT'
# TYPE DATABASE USER ADDRESS METHOD; written by Usher quickstart
local  all      all          peer map=usher
TEXT
  put "$data/pg_ident.conf" 0600 postgres:postgres <<'TEXT'
# MAP   SYSTEM-USER  ROLE; written by Usher quickstart
usher   postgres     postgres
usher   usher        usher_broker
usher   usher        usher_owner
TEXT
}

start_database() {
  local data=$state/postgres/data bin
  bin=$(pg_bin)
  [[ -x $bin/postgres ]] || die 'PostgreSQL is not installed'
  if [[ ! -e $data/PG_VERSION ]]; then
    rm -rf "$data.new"
    logged as_postgres "$bin/initdb" -D "$data.new" -U postgres -A peer -E UTF8 --locale=C.UTF-8 --data-checksums --no-instructions
    mv -T "$data.new" "$data"
  fi
  database_settings
  if ! is_up postgres; then
    as postgres "$bin/postgres" -D "$data"
    launch postgres "${as_words[@]}"
  fi
  wait_for_daemon postgres 60 'the database answers' "$bin/pg_isready" -q -h "$state/run/postgres"
  logged psql_as_superuser -f - <"$top/broker/store/roles.sql"
}

start_directory() {
  local line
  line=$("$top/packaging/demo-directory/make-directory" --socket "$state/run/slapd/ldapi" "$state/slapd" openldap \
    2>>"$log_dir/quickstart.log") || die_with "$log_dir/quickstart.log" 'the demo directory could not be made'
  if ! is_up slapd; then
    rm -f "$state/run/slapd/ldapi"
    launch slapd sh -c "exec $line"
  fi
  wait_for_daemon slapd 30 'the directory answers' test -S "$state/run/slapd/ldapi"
  put "$state/config/directory.password" 0640 root:usher <"$state/slapd/service.password"
}
