#!/usr/bin/env bash
# Installs what Go alone does not bring, or says in one line what to type.
#
#   install.sh build    what `make build` and `make demo` need: a C compiler
#   install.sh test     what `make test` needs besides: Java and Maven (Apache
#                       Kafka, Apache Spark, a client in Java), Node and npm
#                       (Azurite, a client in JavaScript), Python with venv
#                       (clients in Python), PostgreSQL, Chromium (the pages)
#
# It installs on Debian and its relatives, as root or with a sudo that asks for
# no password. Elsewhere it names what is missing and ends with exit code 1.
set -euo pipefail

missing=()
packages=()

# need COMMANDS PACKAGE: one of the commands separated by | must be there.
need() {
	local c
	for c in ${1//|/ }; do
		command -v "$c" >/dev/null 2>&1 && return
	done
	missing+=("${1%%|*}")
	packages+=("$2")
}

c_library() { echo '#include <stdlib.h>' | "$(command -v cc || command -v gcc || command -v clang)" -E - >/dev/null 2>&1; }

check() {
	missing=() packages=()
	need 'cc|gcc|clang' gcc
	# A compiler without the C library's headers compiles nothing.
	if [ ${#missing[@]} -gt 0 ] || ! c_library; then
		missing+=(libc-headers) packages+=(libc6-dev)
		# DuckDB is C++ and is linked against its runtime.
		packages+=(g++)
	elif ! command -v g++ >/dev/null 2>&1 && ! command -v clang++ >/dev/null 2>&1; then
		missing+=(g++) packages+=(g++)
	fi
	[ "$1" = build ] && return
	need flock util-linux
	need java openjdk-17-jre-headless
	need mvn maven
	need node nodejs
	need npm npm
	need python3 python3
	# Debian has the module venv without what it needs in a package of its own.
	if ! python3 -c 'import ensurepip, venv' >/dev/null 2>&1; then
		missing+=(python3-venv) packages+=(python3-venv)
	fi
	need 'chromium|chromium-browser|google-chrome' chromium
	if ! command -v initdb >/dev/null 2>&1 && ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then
		# postgres.sh installs it in a way that starts no cluster of the system.
		need initdb postgresql
	fi
}

case ${1:-} in
build | test) ;;
*)
	echo "usage: install.sh build|test" >&2
	exit 2
	;;
esac

check "$1"
[ ${#missing[@]} -eq 0 ] && exit 0

line="apt-get install -y --no-install-recommends ${packages[*]}"
if command -v apt-get >/dev/null; then
	sudo=()
	[ "$(id -u)" = 0 ] || sudo=(sudo -n)
	if [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; then
		log=$(mktemp)
		install=()
		for p in "${packages[@]}"; do
			[ "$p" = postgresql ] || install+=("$p")
		done
		if [ ${#install[@]} -gt 0 ]; then
			echo "installing ${install[*]}"
			if ! { "${sudo[@]}" apt-get update -q &&
				"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${install[@]}"; } >"$log" 2>&1; then
				tail -n 5 "$log" >&2
				echo "cannot install ${install[*]} (all of the output: $log); try: sudo $line" >&2
				exit 1
			fi
		fi
		rm -f "$log"
		exit 0
	fi
	echo "missing: ${missing[*]}; type: sudo $line" >&2
	exit 1
fi
echo "missing: ${missing[*]}; install them with your system's package manager (on Debian: sudo $line)" >&2
exit 1
