#!/usr/bin/env bash
# A PostgreSQL server of our own for tests and trials, on loopback.
#
#   postgres.sh start     install if missing (Debian, as root), create the
#                         cluster once, start it, wait until it answers
#   postgres.sh stop      stop it in good order
#   postgres.sh restart   stop, then start on the same port
#   postgres.sh kill      SIGKILL it, as a crash would
#   postgres.sh status    say whether it runs, and where
#
# The address goes to .services/postgres.env (MILLRACE_TEST_POSTGRES=...),
# which tests read by themselves. The port stays the same from one start to
# the next, so that clients can be watched across an outage; to choose it, set
# MILLRACE_POSTGRES_PORT. Durability is left as PostgreSQL has it: fsync is on.
#
# MILLRACE_SERVICES_DIR puts everything into another folder than .services: a
# second server, for a test that stops and kills it under its own feet only.
#
# PostgreSQL refuses to run as root, so root hands it to the system user
# postgres. Where that user cannot reach this repository, the data lives in
# /var/tmp instead, and .services/postgres is a link to it.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
services=${MILLRACE_SERVICES_DIR:-$root/.services}
home=$services/postgres
env_file=$services/postgres.env
owner=$(id -un)
[ "$(id -u)" -eq 0 ] && owner=postgres

die() { echo "postgres.sh: $*" >&2; exit 1; }

# as_owner runs a command as the user that owns the server.
as_owner() {
  if [ "$(id -un)" = "$owner" ]; then "$@"; else
    (cd / && runuser -u "$owner" -- "$@"); fi
}

# find_bin prints the folder of the newest installed server's programs.
find_bin() {
  local found
  found=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1 || true)
  if [ -n "$found" ] && [ -x "$found/initdb" ]; then echo "$found"; return; fi
  if command -v initdb >/dev/null; then dirname "$(readlink -f "$(command -v initdb)")"; fi
}

install_server() {
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    die "PostgreSQL is not installed; install it with: sudo apt-get install postgresql"
  fi
  echo "postgres.sh: installing PostgreSQL" >&2
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq >&2
  apt-get install -y -qq --no-install-recommends postgresql-common >&2
  # The package would create and start a cluster of the system; ours is enough.
  mkdir -p /etc/postgresql-common
  if ! grep -qs '^create_main_cluster' /etc/postgresql-common/createcluster.conf; then
    echo "create_main_cluster = false" >>/etc/postgresql-common/createcluster.conf
  fi
  apt-get install -y -qq --no-install-recommends postgresql >&2
}

# free_port prints a port that nothing on loopback answers on.
free_port() {
  local p
  for _ in $(seq 100); do
    p=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
    if ! port_taken "$p"; then echo "$p"; return; fi
  done
  die "found no free port"
}

port_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# make_home creates the folder for data, log and password, where the server's
# owner can reach it.
make_home() {
  mkdir -p "$services"
  [ -d "$home" ] && return
  rm -f "$home" # a link whose target is gone
  if [ "$owner" = "$(id -un)" ]; then
    mkdir -m 700 "$home"
  elif as_owner test -x "$services"; then
    install -d -m 700 -o "$owner" "$home"
  else
    local elsewhere
    elsewhere=/var/tmp/millrace-postgres-$(echo "$services" | cksum | cut -d' ' -f1)
    [ -e "$elsewhere" ] && rm -rf "$elsewhere"
    install -d -m 700 -o "$owner" "$elsewhere"
    ln -s "$elsewhere" "$home"
  fi
}

create_cluster() {
  [ -f "$data/PG_VERSION" ] && [ -s "$data/millrace.ready" ] && return
  rm -rf "$data"
  local password
  password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  # Handed over on standard input, so that it shows in no process list.
  echo "$password" | as_owner sh -c 'umask 077; cat >"$1"' sh "$(readlink -f "$home")/password"
  as_owner "$bin/initdb" -D "$data" -U millrace --pwfile="$(readlink -f "$home")/password" \
    --auth-local=scram-sha-256 --auth-host=scram-sha-256 \
    --encoding=UTF8 --no-locale >/dev/null
  echo yes | as_owner sh -c 'cat >"$1"' sh "$data/millrace.ready"
}

running() { as_owner "$bin/pg_ctl" -D "$data" status >/dev/null 2>&1; }

write_settings() {
  # Its own file, rewritten at each start: what is in it is what holds.
  as_owner sh -c 'cat >"$1"' sh "$data/postgresql.auto.conf" <<CONF
listen_addresses = '127.0.0.1'
port = $port
unix_socket_directories = ''
max_connections = 50
# A bulk load writes much WAL; with the default of 1 GB a checkpoint is
# forced every few seconds.
max_wal_size = 4GB
shared_buffers = 256MB
CONF
}

start() {
  make_home
  data=$(readlink -f "$home")/data
  create_cluster
  if ! running; then
    port=${MILLRACE_POSTGRES_PORT:-$(cat "$home/port" 2>/dev/null || free_port)}
    if port_taken "$port"; then
      [ -n "${MILLRACE_POSTGRES_PORT:-}" ] && die "port $port is in use; choose another in MILLRACE_POSTGRES_PORT"
      port=$(free_port)
    fi
    write_settings
    echo "$port" >"$home/port"
    # Its own session: a signal to the caller's group must not stop it.
    as_owner "$bin/pg_ctl" -D "$data" -l "$data/../log" -w -t 120 start >/dev/null 2>&1 </dev/null ||
      die "the server did not start; the end of $home/log says: $(tail -n 3 "$home/log" 2>/dev/null)"
  fi
  port=$(cat "$home/port")
  local password url
  password=$(cat "$home/password")
  url="postgres://millrace:$password@127.0.0.1:$port"
  if ! "$bin/psql" -XAtq "$url/postgres" -c "SELECT 1 FROM pg_database WHERE datname = 'millrace'" | grep -q 1; then
    "$bin/psql" -XAtq "$url/postgres" -c 'CREATE DATABASE millrace'
  fi
  (umask 077; echo "MILLRACE_TEST_POSTGRES=$url/millrace?sslmode=disable" >"$env_file.new")
  mv "$env_file.new" "$env_file"
  echo "PostgreSQL $("$bin/postgres" --version | awk '{print $3}') answers on 127.0.0.1:$port (address in $env_file)"
}

stop() {
  if running; then as_owner "$bin/pg_ctl" -D "$data" -m fast -w -t 120 stop >/dev/null; fi
  rm -f "$env_file"
  echo "PostgreSQL is stopped"
}

kill_server() {
  running || die "the server is not running"
  local pid children
  pid=$(head -n 1 "$data/postmaster.pid")
  children=$(ps -o pid= --ppid "$pid")
  # The parent first: it would restart the others.
  kill -KILL "$pid"
  # shellcheck disable=SC2086 # a list of numbers
  kill -KILL $children 2>/dev/null || true
  while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
  for child in $children; do
    while kill -0 "$child" 2>/dev/null; do sleep 0.05; done
  done
  echo "PostgreSQL is killed"
}

case "${1:-}" in
start | stop | status | restart | kill) ;;
*) die "usage: postgres.sh start|stop|restart|kill|status" ;;
esac

bin=$(find_bin)
data=$(readlink -f "$home" 2>/dev/null || true)/data
if [ -z "$bin" ]; then
  case $1 in
  start | restart) install_server; bin=$(find_bin); [ -n "$bin" ] || die "PostgreSQL's programs were not found after installing it" ;;
  *) echo "PostgreSQL is not installed"; exit 1 ;;
  esac
fi

case $1 in
start) start ;;
stop) stop ;;
restart)
  if running; then as_owner "$bin/pg_ctl" -D "$data" -m fast -w -t 120 stop >/dev/null; fi
  start
  ;;
kill) kill_server ;;
status)
  if running; then echo "PostgreSQL runs on 127.0.0.1:$(cat "$home/port")"; else echo "PostgreSQL is stopped"; exit 3; fi
  ;;
esac
