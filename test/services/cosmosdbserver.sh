#!/usr/bin/env bash
# A Cosmos DB server that others have written, on loopback for tests:
# @vercel/cosmosdb-server. It keeps everything in memory.
#
#   cosmosdbserver.sh install  fetch it; start does so by itself
#   cosmosdbserver.sh start    start it and wait until it answers; harmless if it runs
#   cosmosdbserver.sh stop     stop it
#   cosmosdbserver.sh restart  stop, then start on the same port, empty
#   cosmosdbserver.sh status   say whether it runs (exit code 0) or not (1)
#   cosmosdbserver.sh clean    stop it and forget its port; the program stays
#
# Everything lives in .services/cosmosdbserver; the connection string for tests
# is written to .services/cosmosdbserver.env as a KEY=value line. The port is
# chosen once and kept; COSMOSDB_TEST_PORT chooses it by hand. What is missing
# (Node, npm) is installed on Debian when root.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
services=${MILLRACE_SERVICES_DIR:-$(cd "$here/../.." && pwd)/.services}
home=$services/cosmosdbserver
envfile=$services/cosmosdbserver.env
# The key of every Cosmos DB emulator, which is no secret.
key=C2y6yDjf5/R+ob0N8A7Cgv30VRDJIWEHLM+4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqyMsEcaGQy67XIw/Jw==

die() { echo "cosmosdbserver: $*" >&2; exit 1; }

need() { # need COMMAND PACKAGE
	command -v "$1" >/dev/null && return
	local install="apt-get install -y --no-install-recommends $2"
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		echo "cosmosdbserver: installing $2" >&2
		{ apt-get update -q && DEBIAN_FRONTEND=noninteractive $install; } >>"$home/install.log" 2>&1 ||
			die "cannot install $2, see $home/install.log"
		command -v "$1" >/dev/null && return
	fi
	die "$1 is missing: run  sudo $install"
}

program=$home/program
main=$program/node_modules/@vercel/cosmosdb-server/lib/cli.js

running() {
	local pid
	pid=$(cat "$home/pid" 2>/dev/null) || return 1
	[ -n "$pid" ] && kill -0 "$pid" 2>/dev/null &&
		tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q -- "$main"
}

taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

free_port() {
	local p
	for _ in $(seq 200); do
		p=$((20000 + RANDOM % 12000))
		taken "$p" || { echo "$p"; return; }
	done
	die "no free port between 20000 and 32000"
}

install() {
	[ -f "$program/.complete" ] && cmp -s "$here/cosmosdbserver/package-lock.json" "$program/package-lock.json" && return
	need npm npm
	echo "cosmosdbserver: fetching @vercel/cosmosdb-server" >&2
	rm -rf "$program"
	mkdir -p "$program"
	cp "$here/cosmosdbserver/package.json" "$here/cosmosdbserver/package-lock.json" "$program"
	(cd "$program" && npm ci --omit=dev --ignore-scripts --no-audit --no-fund --no-update-notifier) >"$home/npm.log" 2>&1 ||
		die "npm cannot fetch it, see $home/npm.log"
	[ -f "$main" ] || die "the program is not where it was, see $program"
	touch "$program/.complete"
}

address() { echo "127.0.0.1:$(cat "$home/port")"; }

start() {
	if running; then
		echo "cosmosdbserver: running at $(address)"
		return
	fi
	need node nodejs
	install
	local port=${COSMOSDB_TEST_PORT:-$(cat "$home/port" 2>/dev/null || free_port)}
	if taken "$port"; then
		[ -z "${COSMOSDB_TEST_PORT:-}" ] || die "port $port is in use; choose another in COSMOSDB_TEST_PORT"
		port=$(free_port)
	fi
	echo "$port" >"$home/port"
	# Its own session: a signal to the caller's group must not stop it.
	setsid nohup node "$main" --host 127.0.0.1 --port "$port" --no-ssl >"$home/server.log" 2>&1 9>&- </dev/null &
	echo $! >"$home/pid"
	for _ in $(seq 1200); do
		if grep -q "Ready to accept" "$home/server.log" && taken "$port"; then
			echo "MILLRACE_TEST_COSMOSDB=AccountEndpoint=http://127.0.0.1:$port/;AccountKey=$key;" >"$envfile"
			echo "cosmosdbserver: started at $(address)"
			return
		fi
		running || { sleep 0.2; running || die "it ended while starting, see $home/server.log"; }
		sleep 0.1
	done
	die "not ready after two minutes, see $home/server.log"
}

stop() {
	if running; then
		local pid
		pid=$(cat "$home/pid")
		kill -TERM "$pid"
		for _ in $(seq 1200); do
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.1
		done
		kill -0 "$pid" 2>/dev/null && die "process $pid does not end"
	fi
	rm -f "$home/pid"
	echo "cosmosdbserver: stopped"
}

mkdir -p "$home"
exec 9>"$services/cosmosdbserver.lock"
flock 9
case ${1:-} in
install) install ;;
start) start ;;
# Without the address, tests know that it is not there.
stop) stop && rm -f "$envfile" ;;
restart) stop >/dev/null && start ;;
status) if running; then echo "cosmosdbserver: running at $(address)"; else echo "cosmosdbserver: not running"; exit 1; fi ;;
clean) stop && rm -rf "$home/port" "$envfile" ;;
*) die "usage: cosmosdbserver.sh install|start|stop|restart|status|clean" ;;
esac
