#!/usr/bin/env bash
# A storage account on loopback for tests: Azurite, the blob part of it.
#
#   azurite.sh start     start it and wait until it answers; harmless if it runs
#   azurite.sh stop      stop it in good order
#   azurite.sh kill      stop it with SIGKILL, as a crash would
#   azurite.sh restart   stop, then start on the same port and data
#   azurite.sh status    say whether it runs (exit code 0) or not (1)
#   azurite.sh clean     stop it and delete its data; the program stays
#
# Everything lives in .services/azurite; the address for tests is written to
# .services/azurite.env as a KEY=value line. The port is chosen once and kept;
# AZURITE_TEST_PORT chooses it by hand. What is missing (Node, npm) is installed
# on Debian when root.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
services=${MILLRACE_SERVICES_DIR:-$(cd "$here/../.." && pwd)/.services}
home=$services/azurite
envfile=$services/azurite.env
# The account of every storage emulator, and its key, which is no secret.
account=devstoreaccount1
key=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==

die() { echo "azurite: $*" >&2; exit 1; }

need() { # need COMMAND PACKAGE
	command -v "$1" >/dev/null && return
	local install="apt-get install -y --no-install-recommends $2"
	if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		echo "azurite: installing $2" >&2
		{ apt-get update -q && DEBIAN_FRONTEND=noninteractive $install; } >>"$home/install.log" 2>&1 ||
			die "cannot install $2, see $home/install.log"
		command -v "$1" >/dev/null && return
	fi
	die "$1 is missing: run  sudo $install"
}

running() {
	local pid
	pid=$(cat "$home/pid" 2>/dev/null) || return 1
	[ -n "$pid" ] && kill -0 "$pid" 2>/dev/null &&
		tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q -- "--location $home/data"
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

program=$home/program
main=$program/node_modules/azurite/dist/src/blob/main.js

install() {
	[ -f "$program/.complete" ] && cmp -s "$here/azurite/package-lock.json" "$program/package-lock.json" && return
	need npm npm
	echo "azurite: fetching Azurite" >&2
	rm -rf "$program"
	mkdir -p "$program"
	cp "$here/azurite/package.json" "$here/azurite/package-lock.json" "$program"
	(cd "$program" && npm ci --omit=dev --ignore-scripts --no-audit --no-fund --no-update-notifier) >"$home/npm.log" 2>&1 ||
		die "npm cannot fetch Azurite, see $home/npm.log"
	[ -f "$main" ] || die "Azurite's program is not where it was, see $program"
	touch "$program/.complete"
}

address() { echo "127.0.0.1:$(cat "$home/port")"; }

start() {
	if running; then
		echo "azurite: running at $(address)"
		return
	fi
	need node nodejs
	install
	local port=${AZURITE_TEST_PORT:-$(cat "$home/port" 2>/dev/null || free_port)}
	if taken "$port"; then
		[ -z "${AZURITE_TEST_PORT:-}" ] || die "port $port is in use; choose another in AZURITE_TEST_PORT"
		port=$(free_port)
	fi
	echo "$port" >"$home/port"
	mkdir -p "$home/data"
	# Its own session: a signal to the caller's group must not stop it.
	# Clients may be newer than it is, which it would refuse.
	setsid nohup node "$main" --blobHost 127.0.0.1 --blobPort "$port" --location "$home/data" \
		--silent --disableTelemetry --skipApiVersionCheck >"$home/server.log" 2>&1 9>&- </dev/null &
	echo $! >"$home/pid"
	for _ in $(seq 1200); do
		if grep -q "successfully listens" "$home/server.log" && taken "$port"; then
			echo "MILLRACE_TEST_STORAGE=DefaultEndpointsProtocol=http;AccountName=$account;AccountKey=$key;BlobEndpoint=http://127.0.0.1:$port/$account;" >"$envfile"
			echo "azurite: started at $(address)"
			return
		fi
		running || { sleep 0.2; running || die "it ended while starting, see $home/server.log"; }
		sleep 0.1
	done
	die "not ready after two minutes, see $home/server.log"
}

stop() { # stop SIGNAL
	if running; then
		local pid
		pid=$(cat "$home/pid")
		kill "-$1" "$pid"
		for _ in $(seq 1200); do
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.1
		done
		kill -0 "$pid" 2>/dev/null && die "process $pid does not end"
	fi
	rm -f "$home/pid"
	echo "azurite: stopped"
}

mkdir -p "$home"
exec 9>"$services/azurite.lock"
flock 9
case ${1:-} in
start) start ;;
# Without the address, tests know that it is not there.
stop) stop TERM && rm -f "$envfile" ;;
kill) stop KILL ;;
restart) stop TERM >/dev/null && start ;;
status) if running; then echo "azurite: running at $(address)"; else echo "azurite: not running"; exit 1; fi ;;
clean) stop TERM && rm -rf "$home/data" "$home/port" "$envfile" ;;
*) die "usage: azurite.sh start|stop|kill|restart|status|clean" ;;
esac
